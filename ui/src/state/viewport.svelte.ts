import { api } from '../lib/api'
import { clamp, fit, pan, reveal, type Viewport, zoom } from '../lib/scale'
import { Lru } from '../lib/lru'
import { LONGEST, type Tile, tileOf, weigh } from '../lib/tiles'
import type { Lane, Overview, TimelineData } from '../lib/types'
import { recording } from './recording.svelte'
import { edition, Resource } from './resource.svelte'

/** Bytes of answers that are kept. */
const KEPT = 48e6

/** How long (ms) the hand must rest before more is asked for than is in view. */
const AHEAD = 120

interface Question extends Tile {
  key: string
  processes: number[]
  through: number[]
}

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
  #around: number | null = null // where it was last zoomed
  #ahead: ReturnType<typeof setTimeout> | undefined
  readonly #kept = new Lru<TimelineData>(KEPT)
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
    this.#around = around
    this.set(zoom(this.view, factor, around, recording.duration))
  }

  pan(share: number): void {
    this.#around = null
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
      const exact = data.detail === 'spans' && !Object.values(data.truncated).some(Boolean)
      if (exact ? coarse < 60 : coarse < LONGEST && coarse > 0.9) return
    }
    const passing = through.join()
    const asked = edition.count
    const wanted = this.#question(this.view, processes, through)
    clearTimeout(this.#ahead)
    this.tile.load(wanted.key, async (signal) => {
      const answer = await this.#answer(wanted, signal)
      this.#through = passing
      this.#edition = asked
      this.#measure(answer)
      this.#ahead = setTimeout(() => this.#prefetch(processes, through), AHEAD)
      return answer
    })
  }

  #question(view: Viewport, processes: number[], through: number[]): Question {
    const tile = tileOf(view, this.width, recording.duration)
    const key = [edition.count, tile.low, tile.high, tile.width, processes.join(), through.join()].join(' ')
    return { ...tile, key, processes, through }
  }

  async #answer({ key, low, high, width, processes, through }: Question, signal?: AbortSignal) {
    const known = this.#kept.get(key)
    if (known) return known
    const answer = await api.timeline(low, high, width, processes, through, signal)
    this.#kept.set(key, answer, weigh(answer))
    return answer
  }

  /** The tiles of one level closer and one level wider, while the hand rests. */
  #prefetch(processes: number[], through: number[]): void {
    const middle = this.#around ?? (this.view.from + this.view.to) / 2
    const wanted = [1.6, 0.6]
      .map((factor) =>
        this.#question(zoom(this.view, factor, middle, recording.duration), processes, through),
      )
      .find(({ key }) => !this.#kept.has(key))
    if (!wanted || this.tile.busy) return
    // What fails here fails again, and is told, when it is needed.
    void this.#answer(wanted).then(
      () => (this.#ahead = setTimeout(() => this.#prefetch(processes, through), AHEAD)),
      () => undefined,
    )
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
