import { untrack } from 'svelte'
import { api } from '../lib/api'
import { platform } from '../lib/roster'
import { hasFailed } from '../lib/testbars'
import { cast } from '../lib/story'
import { focus } from './focus.svelte'
import { lanes } from './lanes.svelte'
import { live } from './live.svelte'
import type { Moment } from '../lib/types'
import { recording } from './recording.svelte'
import { Resource } from './resource.svelte'
import { stage } from './stage.svelte'
import { viewport } from './viewport.svelte'

/** How long the findings wait for the lanes. */
const PATIENCE_MS = 2000

/**
 * Where the page begins. A moment in the address wins, also one that comes while the recording is still being
 * read; else the eye lands first on what went wrong. Runs while a component is made.
 */
export function open(): void {
  let placed = false
  let revealed = false
  focus.listen()
  void live.watch()
  void recording.load(live.known, lanesShown())

  $effect(() => {
    if (placed || !recording.info) return
    if (focus.moment !== null) {
      placed = true
      return
    }
    if (live.on) {
      placed = true
      begin()
      focus.follow()
      return
    }
    if (recording.findings === null) return
    placed = true
    if (recording.findings.length > 0) stage.open(0)
    else {
      begin()
      begun = focus.moment
    }
  })

  // Where no code runs there is little to see: it begins at the next call of the process, until somebody moves on.
  let begun: Moment | null = null
  const call = new Resource<{ moment: Moment | null }>()
  $effect(() => {
    const picture = focus.picture.value
    if (begun === null || !picture || focus.moment !== begun) return
    const event = picture.event?.event ?? null
    if (event === null || picture.stack.length > 0) begun = null
    else call.load(String(event), (signal) => api.step(event, 'next', 'process', 'call', signal))
  })
  $effect(() => {
    const next = call.value?.moment
    untrack(() => {
      if (next && begun !== null && focus.moment === begun) focus.go({ ...next, call: null }, 'step')
    })
  })

  $effect(() => stage.speak())

  // Of very many processes the page has some; those that are looked at are always among them.
  $effect(() => {
    const named = [focus.process ?? -1, ...lanes.pinned, ...(stage.told ? cast(stage.told) : [])]
    if (recording.partial) untrack(() => recording.invite(named))
  })

  // A link may name an event outside of what is shown.
  $effect(() => {
    const at = focus.moment?.at ?? -1
    if (revealed || at < 0 || !recording.info) return
    revealed = true
    viewport.reveal(at)
  })
}

/** Fulfilled when the timeline has lanes to draw, or has taken long over them. */
function lanesShown(): Promise<void> {
  return new Promise((resolve) => {
    $effect(() => {
      const { tile, whole } = viewport
      if (whole.value && !tile.busy && (tile.value?.lanes.length || tile.error)) resolve()
    })
    setTimeout(resolve, PATIENCE_MS)
  })
}

/** Without a finding: the first test that failed, else the life of the busiest process with a module. */
function begin(): void {
  const failed = recording.tests.find(hasFailed)
  if (failed) {
    stage.enter({ at: failed.start, process: failed.process, event: failed.event, call: null })
    return
  }
  const machinery = platform(recording.processes, viewport.coded)
  const own = recording.processes.filter(
    (process) => /^(gen|agent|test)/.test(process.kind) && !machinery.has(process.process),
  )
  const busiest = own.reduce<(typeof own)[number] | null>(
    (best, process) => (best === null || process.events > best.events ? process : best),
    null,
  )
  const main = recording.processes.find((process) => process.label === 'main')
  const end = (busiest ?? main)?.end ?? recording.duration
  focus.at(
    (((busiest ?? main)?.start ?? 0) + end) / 2,
    (busiest ?? main ?? recording.processes[0])?.process ?? null,
  )
}
