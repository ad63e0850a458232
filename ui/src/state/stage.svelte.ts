import { applications } from '../lib/roster'
import { untrack } from 'svelte'
import { type Panel, telling } from '../lib/panels'
import { cast, closeUp, crux, keep, stretch } from '../lib/story'
import type { Finding, Moment, Process } from '../lib/types'
import { desk } from './desk.svelte'
import { focus } from './focus.svelte'
import { recording } from './recording.svelte'
import { viewport } from './viewport.svelte'

export const CASTS = ['finding', 'code', 'application', 'process', 'all'] as const
export type Cast = (typeof CASTS)[number]

/** Which processes have a lane: those of the open finding, with recorded code, of one application, the one in focus, or all. */
class Stage {
  cast = $state<Cast>('code')
  finding = $state<number | null>(null)
  #entered: number | null = null
  #spoke: Panel = 'state' // what somebody brought to the front instead stays there
  /** The application that was gone to; else that of the process in focus. */
  application = $state<string | null>(null)
  readonly applications = $derived(applications(recording.processes))

  /** The finding that is open. */
  readonly told = $derived<Finding | null>(
    this.finding === null ? null : (recording.findings?.[this.finding] ?? null),
  )
  /** Which step of its story is in focus, or -1. */
  readonly step = $derived(
    this.told?.evidence.findIndex(
      ({ moment }) => moment.event !== null && moment.event === focus.moment?.event,
    ) ?? -1,
  )

  readonly #wanted = $derived.by((): Set<number> | null => {
    if (this.cast === 'all') return null
    if (this.cast === 'process') return new Set([focus.process ?? -1])
    if (this.cast === 'application') {
      const wanted = this.application ?? this.applications.get(focus.process ?? -1)
      return new Set([...this.applications].flatMap(([one, name]) => (name === wanted ? [one] : [])))
    }
    const found = new Set(viewport.coded)
    if (this.cast === 'finding' && this.told) {
      const named = cast(this.told)
      const own = new Set([...named].filter((process) => found.has(process)))
      return own.size > 0 ? own : named
    }
    return found.size === 0 ? null : found
  })

  /** The process in focus when it is none of them; mostly it is, and the lanes stay as they are when the focus moves. */
  readonly #guest = $derived(
    focus.process === null || this.#wanted === null || this.#wanted.has(focus.process) ? null : focus.process,
  )

  /** In tree order. The process in focus always has its lane. */
  readonly processes = $derived.by((): Process[] => {
    if (this.#wanted === null) return recording.processes
    const guest = this.#guest
    return keep(recording.processes, guest === null ? this.#wanted : new Set([...this.#wanted, guest]))
  })

  /** Sets the desk for a finding: its moment, its stretch of time, its processes. */
  open(index: number): void {
    const finding = recording.findings?.[index]
    if (!finding) return
    this.finding = index
    this.cast = 'finding'
    const moment = crux(finding, recording.byId)
    if (!moment) return
    this.enter(moment)
    const window = stretch(finding, moment)
    if (window) viewport.frame(...window)
    else viewport.reveal(moment.at)
  }

  /** Goes to a moment that nobody chose: a panel that has something to say about it comes to the front with it. */
  enter(moment: Moment): void {
    this.#entered = moment.event
    focus.go({ ...moment, call: null })
  }

  /** Brings that panel to the front when the picture has come; runs inside an effect. */
  speak(): void {
    const picture = focus.picture.value
    if (this.#entered === null || picture?.moment.event !== this.#entered) return
    this.#entered = null
    untrack(() => {
      const panel = telling(picture)
      const dock = desk.dockOf('state')
      const front = desk.arrangement.front[dock]
      if (panel === front || desk.dockOf(panel) !== dock || front !== this.#spoke) return
      this.#spoke = panel
      focus.show(panel)
    })
  }

  /** Goes to a step of the open story, and as close as tells it from its neighbours. */
  tell(moment: Moment): void {
    focus.go({ ...moment, call: null })
    const times = this.told?.evidence.map((one) => one.moment.at) ?? []
    const close = closeUp(times, moment.at, viewport.span, viewport.width)
    if (close) viewport.frame(...close)
    else viewport.reveal(moment.at)
  }

  /** The next or the previous step of the story; opens the first finding when none is open. */
  walk(by: 1 | -1): void {
    if (this.told === null) return this.open(0)
    const next = this.told.evidence[this.step < 0 ? 0 : this.step + by]
    if (next) this.tell(next.moment)
  }

  close(): void {
    this.finding = null
    if (this.cast === 'finding') this.cast = 'code'
  }
}

export const stage = new Stage()
