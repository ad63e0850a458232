import { describe, expect, it } from 'vitest'
import { folded, isFold } from './critical'
import type { Segment } from './types'

/** Stretches of these lengths, one after the other. */
function path(...lengths: number[]): Segment[] {
  let at = 0
  return lengths.map((length) => {
    at += length
    return { start: at - length, end: at } as Segment
  })
}
const rows = (...lengths: number[]): (number | string)[] =>
  folded(path(...lengths), 1000).map((row) =>
    isFold(row) ? `${row.first}+${row.segments.length}: ${row.ns}` : row.end - row.start,
  )

describe('critical path', () => {
  it('puts three and more short stretches in a row together', () => {
    expect(rows(1, 2, 500, 1, 2, 3, 400, 4, 1)).toEqual([1, 2, 500, '3+3: 6', 400, 4, 1])
    expect(rows(1, 1, 1, 990, 4, 4, 4, 4)).toEqual(['0+3: 3', 990, '4+4: 16'])
    expect(rows()).toEqual([])
  })

  it('leaves out nothing', () => {
    const all = path(1, 2, 3, 4, 500, 1, 1, 1, 300)
    expect(folded(all, 1000).flatMap((row) => (isFold(row) ? row.segments : [row]))).toEqual(all)
  })
})
