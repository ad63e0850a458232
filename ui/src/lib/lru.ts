/** Answers kept for later, the least recently used given up first once they weigh more than `most` together. */
export class Lru<T> {
  readonly #kept = new Map<string, { value: T; weight: number }>()
  #weight = 0

  constructor(readonly most: number) {}

  get weight(): number {
    return this.#weight
  }

  has(key: string): boolean {
    return this.#kept.has(key)
  }

  get(key: string): T | undefined {
    const found = this.#kept.get(key)
    if (!found) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, found)
    return found.value
  }

  /** The value used last of those that will do. */
  find(fits: (value: T, key: string) => boolean): T | undefined {
    for (const [key, { value }] of [...this.#kept].reverse()) if (fits(value, key)) return this.get(key)
    return undefined
  }

  /** Keeps a value; one that alone weighs more than `most` is not kept. */
  set(key: string, value: T, weight: number): void {
    this.#drop(key)
    if (weight > this.most) return
    this.#kept.set(key, { value, weight })
    this.#weight += weight
    for (const oldest of this.#kept.keys()) {
      if (this.#weight <= this.most) break
      this.#drop(oldest)
    }
  }

  #drop(key: string): void {
    this.#weight -= this.#kept.get(key)?.weight ?? 0
    this.#kept.delete(key)
  }
}
