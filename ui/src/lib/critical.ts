import type { Segment } from './types'

/** Stretches in a row that are too short to say much one by one. */
export interface Fold {
  first: number // the index of the first of them
  segments: Segment[]
  ns: number // what they take together
}

/** What counts as short: this share of the whole path. */
export const SHORT = 0.005
const LEAST = 3

const long = (segment: Segment): number => segment.end - segment.start

/** A path as rows: what is long by itself, runs of three or more short ones together. */
export function folded(segments: readonly Segment[], span: number): (Segment | Fold)[] {
  const rows: (Segment | Fold)[] = []
  let run: Segment[] = []
  const end = (index: number): void => {
    if (run.length < LEAST) rows.push(...run)
    else
      rows.push({
        first: index - run.length,
        segments: run,
        ns: run.reduce((sum, one) => sum + long(one), 0),
      })
    run = []
  }
  segments.forEach((segment, index) => {
    if (long(segment) < SHORT * span) run.push(segment)
    else {
      end(index)
      rows.push(segment)
    }
  })
  end(segments.length)
  return rows
}

export const isFold = (row: Segment | Fold): row is Fold => 'segments' in row
