/** What a view picks out for all the others: marks on the timeline, and the cone of an event's consequences. */

export interface Pick {
  at: number
  process: number | null
  title: string
  event: number | null
  failed?: boolean
}

export interface Cone {
  /** Of which event. */
  event: number
  label: string
  direction: 'forward' | 'backward'
  /** Whether it holds the nearest events alone, because there are very many. */
  cut: boolean
  events: ReadonlySet<number>
  processes: ReadonlySet<number>
  steps: readonly Pick[]
  /** Where in the code they were recorded, by file. */
  lines: ReadonlyMap<string, ReadonlySet<number>>
  /** The functions that they happened in, by label. */
  functions: ReadonlySet<string>
}

class Highlights {
  /** Retroactive prints, or rows of a query, as marks in the lanes. */
  picks = $state.raw<readonly Pick[]>([])
  title = $state<string | null>(null)
  cone = $state.raw<Cone | null>(null)

  mark(title: string, picks: readonly Pick[]): void {
    this.title = title
    this.picks = picks
  }

  clear(): void {
    this.title = null
    this.picks = []
  }

  /** Whether something stands back because a cone is shown, and none of its events belongs to it. */
  dims(...events: (number | null | undefined)[]): boolean {
    const cone = this.cone
    return cone !== null && !events.some((event) => typeof event === 'number' && cone.events.has(event))
  }
}

export const highlights = new Highlights()
