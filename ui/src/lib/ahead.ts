/**
 * Answers that are asked for before they are needed: the last few, by question. One is under way at a time; of those
 * asked for meanwhile only the newest is asked next.
 */
export class Ahead<T> {
  readonly #kept = new Map<string, { coming: Promise<T>; here?: T }>()
  #running = false
  #waiting: { key: string; ask: () => Promise<T>; done: () => void; settled: Promise<void> } | null = null

  constructor(readonly most: number) {}

  /** The answer, or when it will be there; undefined when it was not asked for, or refused. */
  of(key: string): Promise<T> | undefined {
    return this.#kept.get(key)?.coming
  }

  /** The answer when it is there already. */
  here(key: string): T | undefined {
    return this.#kept.get(key)?.here
  }

  /** Fulfilled when the question is answered, refused, or given up for a newer one. */
  ask(key: string, ask: () => Promise<T>): Promise<void> {
    const known = this.#kept.get(key)
    if (known) {
      this.#drop()
      return settled(known.coming)
    }
    if (this.#waiting?.key === key) return this.#waiting.settled
    this.#drop()
    if (!this.#running) return this.#run(key, ask)
    let done = (): void => undefined
    const waited = new Promise<void>((resolve) => (done = resolve))
    this.#waiting = { key, ask, done, settled: waited }
    return waited
  }

  #drop(): void {
    this.#waiting?.done()
    this.#waiting = null
  }

  async #run(key: string, ask: () => Promise<T>): Promise<void> {
    this.#running = true
    const answer = ask()
    const kept: { coming: Promise<T>; here?: T } = { coming: answer }
    this.#kept.set(key, kept)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.most) break
      this.#kept.delete(oldest)
    }
    // What is refused is asked again, and told, when it is needed.
    await answer.then(
      (here) => (kept.here = here),
      () => this.#kept.delete(key),
    )
    this.#running = false
    const next = this.#waiting
    this.#waiting = null
    if (next) void this.#run(next.key, next.ask).then(next.done)
  }
}

const settled = (answer: Promise<unknown>): Promise<void> =>
  answer.then(
    () => undefined,
    () => undefined,
  )
