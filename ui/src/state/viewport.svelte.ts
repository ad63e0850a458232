import { untrack } from 'svelte'
import { Ahead } from '../lib/ahead'
import { api } from '../lib/api'
import { clamp, fit, pan, reveal, type Viewport, zoom } from '../lib/scale'
import { Lru } from '../lib/lru'
import { enough, levelOf, type Tile, type Tiled, tileOf, weigh } from '../lib/tiles'
import type { Lane, Overview } from '../lib/types'
import { recording } from './recording.svelte'
import { atRest, edition, Resource } from './resource.svelte'

/** Bytes of answers that are kept. */
const KEPT = 48e6

/** How far to either side of the view one asks ahead, as a share of it: further than a key leads. */
const BESIDE = 0.35

/** How long (ms) the hand must rest before a tile is asked for ahead: what lists show beside it is needed sooner. */
const REST = 14

interface Question extends Tile {
  key: string
  of: string // what all tiles of the same lanes have in common
  processes: number[]
  through: number[]
}

const passing = (through: number[]): string => ` ${through.join()}`

/** What part of the recording the timeline shows, and the tile of data that covers it. */
class ViewportStore {
  #wanted = $state.raw<Viewport | null>(null) // null is the whole recording
  /** What is in view, kept within the recording whatever was asked for. */
  readonly view = $derived(
    this.#wanted === null ? fit(recording.duration) : clamp(this.#wanted, recording.duration),
  )
  readonly zoomed = $derived(this.#wanted !== null)
  width = $state(800)
  readonly tile = new Resource<Tiled>()
  readonly whole = new Resource<Overview>()
  /** The processes with recorded code or state of their own. */
  readonly coded = $derived<ReadonlySet<number>>(
    new Set(recording.processes.filter((one) => one.coded).map((one) => one.process)),
  )
  readonly lanes = $derived(new Map<number, Lane>(this.tile.value?.lanes.map((lane) => [lane.process, lane])))
  /** Deepest frame seen so far of each process: lanes never shrink while one looks at them. */
  deepest = $state.raw<ReadonlyMap<number, number>>(new Map())

  #of = '' // the edition of the recording that the tile at hand is of, and the processes that its arrows pass through
  #around: number | null = null // where it was last zoomed
  #wider = false // … and whether that was away from it
  #again: ((view: Viewport) => Viewport)[] = [] // what the hand did last, and what takes it back
  #stop = (): void => undefined
  readonly #tiles = new Lru<Tiled>(KEPT)
  readonly #ahead = new Ahead<Tiled>(1) // a tile that may be needed before it is there

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
    this.#wider = factor > 1
    this.#again = [factor, 1 / factor].map((each) => (view) => zoom(view, each, around, recording.duration))
    this.set(zoom(this.view, factor, around, recording.duration))
  }

  pan(share: number): void {
    this.#around = null
    this.#again = [share, -share].map((each) => (view) => pan(view, each, recording.duration))
    this.set(pan(this.view, share, recording.duration))
  }

  /** What is most likely in view next: a hand goes on with what it did, or takes it back. */
  get next(): Viewport[] {
    return this.#again.map((step) => clamp(step(this.view), recording.duration))
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
    this.#stop()
    if (this.#atHand(this.view, processes, through)) return this.#later(processes, through)
    const wanted = this.#question(this.view, processes, through)
    const of = edition.count + passing(through)
    const shown = (answer: Tiled): Tiled => {
      this.#of = of
      this.#measure(answer)
      this.#later(processes, through)
      return answer
    }
    const kept = this.#kept(wanted, this.view)
    if (kept) return untrack(() => this.tile.take(wanted.key, shown(kept)))
    this.tile.load(wanted.key, async (signal) =>
      shown(await (this.#ahead.of(wanted.key) ?? this.#ask(wanted, signal))),
    )
  }

  /** Whether the tile that is shown would do for a view. */
  #atHand(view: Viewport, processes: number[], through: number[]): boolean {
    const data = this.tile.value
    return (
      data !== null &&
      this.#of === edition.count + passing(through) &&
      processes.every((process) => this.lanes.has(process)) &&
      enough(data, view, this.width, recording.duration)
    )
  }

  #question(view: Viewport, processes: number[], through: number[]): Question {
    const tile = tileOf(view, this.width, recording.duration)
    const of = `${edition.count + passing(through)} ${processes.join()}`
    return { ...tile, of, key: `${tile.low} ${tile.high} ${tile.width} ${of}`, processes, through }
  }

  #kept({ key, of }: Question, view: Viewport): Tiled | undefined {
    return (
      this.#tiles.get(key) ??
      this.#tiles.find(
        (tile, known) => known.endsWith(` ${of}`) && enough(tile, view, this.width, recording.duration),
      )
    )
  }

  async #ask(question: Question, signal?: AbortSignal): Promise<Tiled> {
    const { key, low, high, width, processes, through } = question
    const found = await api.timeline(low, high, width, processes, through, signal)
    const answer = { ...found, grain: (high - low) / width }
    this.#tiles.set(key, answer, weigh(answer))
    return answer
  }

  #later(processes: number[], through: number[]): void {
    this.#stop()
    this.#stop = atRest(() => this.#prefetch(processes, through), REST)
  }

  /** What the next levels and what lies to either side would ask for, one after the other, while nothing else is asked. */
  #prefetch(processes: number[], through: number[]): void {
    const { view, span } = this
    const middle = this.#around ?? (view.from + view.to) / 2
    const level = levelOf(view)
    // Nearly the widest view of a level: its tile covers all those around the same time.
    const levels = [level / 2, level * 2].map((widest) =>
      zoom(view, (widest * 0.96) / span, middle, recording.duration),
    )
    const steps = [
      ...(this.#wider ? levels.reverse() : levels),
      ...[-BESIDE, BESIDE].map((share) => pan(view, share, recording.duration)),
    ]
    for (const next of steps) {
      const wanted = this.#question(next, processes, through)
      if (this.#atHand(next, processes, through) || this.#kept(wanted, next)) continue
      void this.#ahead
        .ask(wanted.key, () => this.#ask(wanted))
        .then(() => this.#kept(wanted, next) && this.#later(processes, through)) // not again what was refused
      return
    }
  }

  /** The strip of the whole recording: asked once. */
  overview(): void {
    if (untrack(() => this.whole.error)) this.whole.retry()
    this.whole.load('whole', (signal) => api.overview(480, signal))
  }

  #measure(data: Tiled): void {
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
