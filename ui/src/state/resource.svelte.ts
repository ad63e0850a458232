import { untrack } from 'svelte'
import { ApiError } from '../lib/api'

/** How many questions of all resources are under way. */
export const traffic = $state({ running: 0 })

/** Counts the editions of the recording that were seen: one that is still being made has many. */
export const edition = $state({ count: 0 })

/** How long (ms) the hand must rest before more is asked for than is in view. */
const REST = 6

/** How long (ms) that waits for what is still to be drawn, at most. */
const DRAWN = 100

// Not every browser tells when it is idle.
const idle = (then: () => void): void => {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(then, { timeout: DRAWN })
  else setTimeout(then, DRAWN / 4)
}

/**
 * Calls back when nothing has been asked for a while, after `rest` ms at the earliest, and what was asked for is drawn;
 * gives what calls it off.
 */
export function atRest(then: () => void, rest = REST): () => void {
  let off = false
  const look = (): void => {
    if (traffic.running > 0) timer = setTimeout(look, REST)
    else idle(() => !off && then())
  }
  let timer = setTimeout(look, rest)
  return () => {
    off = true
    clearTimeout(timer)
  }
}

/** How long (ms) a question may be under way before a newer one waits for it rather than cancels it. */
const PATIENCE = 250

/**
 * An answer that follows a changing question: the newest question wins, an older one is cancelled, an answer
 * to an older one is dropped. While a question is under way the last answer stays (`busy` is then true), so
 * that views do not flicker. A question that has run for long is let finish: scrubbing then still shows
 * pictures on the way, rather than none until the hand rests. Another edition of the recording makes every
 * question a new one, but for a resource that is not to `follow`.
 */
export class Resource<T> {
  value = $state.raw<T | null>(null)
  error = $state.raw<ApiError | null>(null)
  busy = $state(false)

  #running: { key: string; since: number; abort: AbortController } | null = null
  #waiting: { key: string; ask: (signal: AbortSignal) => Promise<T> } | null = null
  #answered: string | null = null

  readonly #follows: boolean

  constructor({ follow = true } = {}) {
    this.#follows = follow
  }

  /** Asks unless the same question is answered or under way. */
  load(question: string, ask: (signal: AbortSignal) => Promise<T>): void {
    const key = this.#key(question)
    if (this.#running?.key === key) {
      this.#waiting = null
      return
    }
    if (this.#running) {
      this.#waiting = { key, ask }
      if (performance.now() - this.#running.since < PATIENCE) this.#running.abort.abort()
      return
    }
    if (this.#answered === key) return
    void this.#run(key, ask)
  }

  /** As `load`, of a question whose answer is at hand: it is shown in the same breath. */
  take(question: string, answer: T): void {
    const key = this.#key(question)
    this.#waiting = null
    this.#running?.abort.abort()
    if (this.#answered === key) return
    this.value = answer
    this.error = null
    this.#answered = key
  }

  #key(question: string): string {
    return this.#follows ? `${edition.count} ${question}` : question
  }

  /** Forgets the answer, so that the next view starts empty. */
  clear(): void {
    this.#waiting = null
    this.#running?.abort.abort()
    this.#answered = null
    this.value = null
    this.error = null
  }

  /** Lets the same question be asked again. */
  retry(): void {
    this.#answered = null
  }

  async #run(key: string, ask: (signal: AbortSignal) => Promise<T>): Promise<void> {
    const abort = new AbortController()
    this.#running = { key, since: performance.now(), abort }
    if (!untrack(() => this.busy)) untrack(() => (traffic.running += 1))
    this.busy = true
    try {
      const answer = await ask(abort.signal)
      if (!abort.signal.aborted) {
        this.value = answer
        this.error = null
        this.#answered = key
      }
    } catch (reason) {
      if (!abort.signal.aborted) {
        this.error = reason instanceof ApiError ? reason : new ApiError('page', String(reason))
        this.#answered = key
      }
    } finally {
      this.#running = null
      const next = this.#waiting
      this.#waiting = null
      if (next && next.key !== this.#answered) void this.#run(next.key, next.ask)
      else {
        this.busy = false
        traffic.running -= 1
      }
    }
  }
}
