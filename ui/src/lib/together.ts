interface Asked {
  question: string
  signal: AbortSignal | undefined
  answer: (body: unknown) => void
  refuse: (reason: unknown) => void
}

/**
 * Questions that are asked in the same breath go out as one: each request costs a browser some ms of its own, and answers
 * that come together are drawn together. `one` asks a single question; `all` asks several, and has for each its answer or
 * the error that it was refused with.
 */
export class Together {
  #waiting: Asked[] = []

  constructor(
    readonly one: (question: string, signal?: AbortSignal) => Promise<unknown>,
    readonly all: (questions: string[]) => Promise<unknown[]>,
  ) {}

  ask(question: string, signal?: AbortSignal): Promise<unknown> {
    return new Promise((answer, refuse) => {
      if (this.#waiting.push({ question, signal, answer, refuse }) === 1) queueMicrotask(() => this.#send())
    })
  }

  #send(): void {
    const asked = this.#waiting.filter(({ signal }) => !signal?.aborted)
    for (const { signal, refuse } of this.#waiting) if (signal?.aborted) refuse(signal.reason)
    this.#waiting = []
    const [first] = asked
    if (!first) return
    if (asked.length === 1)
      return void this.one(first.question, first.signal).then(first.answer, first.refuse)
    // One that is no longer wanted is let go at once; the others need their answers.
    for (const { signal, refuse } of asked) signal?.addEventListener('abort', () => refuse(signal.reason))
    this.all(asked.map(({ question }) => question)).then(
      (bodies) =>
        asked.forEach(({ answer, refuse }, index) => {
          const body = bodies[index]
          if (body instanceof Error) refuse(body)
          else answer(body)
        }),
      (reason) => asked.forEach(({ refuse }) => refuse(reason)),
    )
  }
}
