import { Ahead } from '../lib/ahead'
import { api, ApiError } from '../lib/api'
import type { Moment } from '../lib/types'
import { focus } from './focus.svelte'
import { recording } from './recording.svelte'
import { atRest, edition } from './resource.svelte'
import { viewport } from './viewport.svelte'

export const KINDS = ['any', 'call', 'message', 'state', 'exception'] as const
export type Kind = (typeof KINDS)[number]
export type Scope = 'process' | 'any'
export const SPEEDS = [0.25, 0.5, 1, 2, 4] as const

/** At speed 1 the whole view passes in this time (s): recordings last from µs to hours. */
const CROSSING = 20

/** Frames for which a picture may be on its way. */
const REMEMBERED = 600

type Direction = 'next' | 'previous'

/** The transport bar: steps by event, and playing. */
class Player {
  kind = $state<Kind>('any')
  scope = $state<Scope>('process')
  speed = $state(1)
  playing = $state(false)
  #said = $state.raw<{ text: string; of: Moment | null } | null>(null)
  /** Why the last step led nowhere, until somebody moves on. */
  readonly note = $derived(this.#said !== null && this.#said.of === focus.moment ? this.#said.text : null)

  #abort: AbortController | null = null
  #stop = (): void => undefined
  readonly #steps = new Ahead<{ moment: Moment | null }>(4)

  async step(direction: Direction, kind = this.kind, scope = this.scope): Promise<void> {
    this.pause()
    this.#stop()
    const event = focus.event
    if (event === null) return this.#enter(direction)
    this.#abort?.abort()
    const abort = (this.#abort = new AbortController())
    try {
      const known = this.#steps.of(keyOf(event, direction, scope, kind))
      const { moment } = await (known ?? api.step(event, direction, scope, kind, abort.signal))
      if (abort.signal.aborted) return
      if (!moment) return this.#say(`no ${direction} ${kind === 'any' ? 'event' : kind}`)
      focus.go({ ...moment, call: null }, 'step')
      viewport.reveal(moment.at)
      this.#prepare(moment.event, direction, scope, kind)
    } catch (reason) {
      if (!abort.signal.aborted) this.#say(reason instanceof ApiError ? reason.message : String(reason))
    }
  }

  /** Before a process has lived there is no event to step from: its life begins at the first step. */
  #enter(direction: Direction): void {
    const process = recording.byId.get(focus.process ?? -1)
    const unborn = process !== undefined && (focus.moment?.at ?? 0) < process.start
    if (direction !== 'next' || !unborn) return this.#say(`no ${direction} event`)
    focus.at(process.start, process.process, 'step')
    viewport.reveal(process.start)
  }

  #say(text: string): void {
    this.#said = { text, of: focus.moment }
  }

  /** A hand that steps goes on: where that leads, and the picture there, are asked for when nothing else is. */
  #prepare(event: number | null, direction: Direction, scope: Scope, kind: Kind): void {
    if (event === null) return
    const key = keyOf(event, direction, scope, kind)
    this.#stop = atRest(async () => {
      await this.#steps.ask(key, () => api.step(event, direction, scope, kind))
      const next = this.#steps.here(key)?.moment
      if (next) await focus.ahead({ ...next, call: null })
    })
  }

  /** To the first or last instant of the process in focus. */
  edge(which: 'first' | 'last'): void {
    this.pause()
    const process = recording.byId.get(focus.process ?? -1)
    const at = which === 'first' ? (process?.start ?? 0) : (process?.end ?? recording.duration)
    focus.at(at, process?.process ?? null)
    viewport.reveal(at)
  }

  toggle(): void {
    if (this.playing) this.pause()
    else this.play()
  }

  pause(): void {
    this.playing = false
  }

  /** The playhead moves with every frame of the screen, the views as fast as pictures come. */
  play(): void {
    this.playing = true
    let before = performance.now()
    let at = focus.moment?.at ?? 0
    const own = new Set([at]) // where the views may be on our account: the last times that they were sent to
    if (at >= recording.duration) at = 0
    const frame = (now: number): void => {
      if (!this.playing) return
      // Somebody else moved the focus: play on from there.
      const moved = focus.moment?.at ?? at
      if (!own.has(moved)) at = moved
      at += ((now - before) / 1000) * (viewport.span / CROSSING) * this.speed
      at = Math.min(recording.duration, at)
      before = now
      const time = Math.round(at)
      own.add(time)
      for (const oldest of own) {
        if (own.size <= REMEMBERED) break
        own.delete(oldest)
      }
      focus.soon({ at: time, process: focus.process, event: null, call: null }, 'scrub')
      viewport.reveal(at)
      if (at >= recording.duration) this.pause()
      else requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
  }
}

const keyOf = (event: number, direction: Direction, scope: Scope, kind: Kind): string =>
  `${edition.count} ${event} ${direction} ${scope} ${kind}`

export const player = new Player()
