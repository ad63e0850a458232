import { api } from '../lib/api'
import { doubtful, inLane } from '../lib/omissions'
import type { Omission } from '../lib/types'
import { recording } from './recording.svelte'
import { Resource } from './resource.svelte'
import { viewport } from './viewport.svelte'

const MOST = 1000

/** Where less was recorded than the plan says: all of the recording, or the stretch in view where that is too much. */
class Omissions {
  readonly found = new Resource<{ omissions: Omission[]; total: number }>()
  readonly #all = $derived(this.found.value?.omissions ?? [])
  readonly #many = $derived((this.found.value?.total ?? 0) > MOST)

  /** By process, for its lane. */
  readonly lanes = $derived.by(() => {
    const lanes = new Map<number, Omission[]>()
    for (const one of this.#all.filter(inLane)) {
      const process = one.process ?? -1
      lanes.set(process, [...(lanes.get(process) ?? []), one])
    }
    return lanes
  })
  /** What concerns all lanes: steps of the agent, full memory, losses of nobody in particular. */
  readonly everywhere = $derived(this.#all.filter((one) => !inLane(one) && one.kind !== 'calls'))
  readonly counted = $derived(this.#all.filter((one) => one.kind === 'calls'))
  /** Processes whose losses have no time. */
  readonly doubtful = $derived(doubtful(recording.processes, this.#all))

  /** Asks for what there is; runs inside an effect. */
  ask(): void {
    const tile = viewport.tile.value
    const [from, to] = this.#many && tile ? [tile.from, tile.to] : [0, recording.duration]
    this.found.load(`${from} ${to}`, (signal) => api.omissions(from, to, MOST, signal))
  }
}

export const omissions = new Omissions()
