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
  events: ReadonlySet<number>
  processes: ReadonlySet<number>
  steps: readonly Pick[]
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

  /** Whether an event belongs to the cone; without a cone everything does. */
  within(event: number | null | undefined): boolean {
    return this.cone === null || event === null || event === undefined || this.cone.events.has(event)
  }
}

export const highlights = new Highlights()
