import { api } from '../lib/api'
import { clamp, fit, pan, reveal, type Viewport, zoom } from '../lib/scale'
import type { Lane, Overview, TimelineData } from '../lib/types'
import { recording } from './recording.svelte'
import { edition, Resource } from './resource.svelte'

/** What part of the recording the timeline shows, and the tile of data that covers it. */
class ViewportStore {
  #wanted = $state.raw<Viewport | null>(null) // null is the whole recording
  /** What is in view, kept within the recording whatever was asked for. */
  readonly view = $derived(
    this.#wanted === null ? fit(recording.duration) : clamp(this.#wanted, recording.duration),
  )
  readonly zoomed = $derived(this.#wanted !== null)
  width = $state(800)
  readonly tile = new Resource<TimelineData>()
  readonly whole = new Resource<Overview>()
  /** The processes with recorded code or state of their own. */
  readonly coded = $derived<ReadonlySet<number>>(new Set(this.whole.value?.coded))
  readonly lanes = $derived(new Map<number, Lane>(this.tile.value?.lanes.map((lane) => [lane.process, lane])))
  /** Deepest frame seen so far of each process: lanes never shrink while one looks at them. */
  deepest = $state.raw<ReadonlyMap<number, number>>(new Map())

  #through = '' // the hidden processes of the tile at hand
  #edition = 0 // and the edition of the recording that it is of

  readonly span = $derived(this.view.to - this.view.from)

  set(view: Viewport): void {
    const whole = fit(recording.duration)
    const next = clamp(view, recording.duration)
    this.#wanted = next.from <= whole.from && next.to >= whole.to ? null : next
  }

  /** What a link names, possibly before the recording's length is known. */
  restore(view: Viewport): void {
    this.#wanted = view
  }

  fit(): void {
    this.#wanted = null
  }

  zoom(factor: number, around: number): void {
    this.set(zoom(this.view, factor, around, recording.duration))
  }

  pan(share: number): void {
    this.set(pan(this.view, share, recording.duration))
  }

  /** The recording has grown: a view of its end, `before`, keeps its length and shows the end that is now. */
  slide(before: number): void {
    const wanted = this.#wanted
    if (wanted === null || wanted.to < before - (wanted.to - wanted.from) / 50) return
    const by = recording.duration - wanted.to
    this.set({ from: wanted.from + by, to: wanted.to + by })
  }

  reveal(at: number): void {
    const next = reveal(this.view, at, recording.duration)
    if (next !== this.view) this.set(next)
  }

  /** Shows a stretch of time with some air around it. */
  frame(from: number, to: number): void {
    const air = Math.max((to - from) * 0.2, 100)
    this.set({ from: from - air, to: to + air })
  }

  /** Asks for data of these lanes when what is at hand does not cover the view, or covers it too coarsely. */
  refresh(processes: number[], through: number[]): void {
    const { from, to } = this.view
    const data = this.tile.value
    const known = data !== null && processes.every((process) => this.lanes.has(process))
    if (
      known &&
      this.#edition === edition.count &&
      this.#through === through.join() &&
      data.from <= Math.max(0, from) &&
      data.to >= Math.min(recording.duration, to)
    ) {
      const coarse = (data.to - data.from) / (to - from)
      const exact = data.detail === 'spans' && !data.truncated.spans && !data.truncated.messages
      if (exact ? coarse < 60 : coarse < 2.4 && coarse > 0.9) return
    }
    const margin = (to - from) / 2
    const low = Math.max(0, Math.floor(from - margin))
    const high = Math.min(recording.duration, Math.ceil(to + margin))
    const width = Math.round((this.width * (high - low)) / (to - from))
    const passing = through.join()
    const asked = edition.count
    this.tile.load(`${low}-${high}-${width}-${processes.join()}-${passing}`, async (signal) => {
      const answer = await api.timeline(low, high, Math.max(width, 50), processes, through, signal)
      this.#through = passing
      this.#edition = asked
      this.#measure(answer)
      return answer
    })
  }

  /** The strip of the whole recording: asked once. */
  overview(): void {
    this.whole.load('whole', (signal) => api.overview(480, signal))
  }

  #measure(data: TimelineData): void {
    const next = new Map(this.deepest)
    let grown = false
    for (const lane of data.lanes) {
      let depth = next.get(lane.process) ?? 0
      for (const span of lane.spans ?? []) depth = Math.max(depth, span.depth)
      if (depth > (next.get(lane.process) ?? 0)) {
        next.set(lane.process, depth)
        grown = true
      }
    }
    if (grown) this.deepest = next
  }
}

export const viewport = new ViewportStore()
