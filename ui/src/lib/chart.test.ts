import { describe, expect, it } from 'vitest'
import { chart, moments } from './chart'
import type { QueryResult } from './types'

const result = (columns: string[], types: string[], rows: unknown[][]): QueryResult => ({
  columns,
  types,
  rows,
  total: rows.length,
  truncated: false,
  elapsed_ms: 1,
})

describe('chart', () => {
  it('draws names against an amount as bars', () => {
    const found = chart(
      result(
        ['function', 'n'],
        ['VARCHAR', 'BIGINT'],
        [
          ['put', 3],
          ['free?', 5],
        ],
      ),
    )
    expect(found).toMatchObject({ kind: 'bar', x: 'function', y: 'n', low: 0, high: 5 })
    expect(found!.points[1]).toEqual({ x: 1, y: 5, label: 'free?', row: 1 })
  })

  it('draws an amount over time as a line, in order of time', () => {
    const found = chart(
      result(
        ['at', 'duration'],
        ['BIGINT', 'BIGINT'],
        [
          [20, 1],
          [10, 4],
        ],
      ),
    )
    expect(found).toMatchObject({ kind: 'line', x: 'at', y: 'duration', left: 10, right: 20 })
    expect(found!.points.map((point) => point.x)).toEqual([10, 20])
  })

  it('draws two amounts as a scatter', () => {
    expect(chart(result(['size', 'ns'], ['INTEGER', 'DOUBLE'], [[1, 2]]))).toMatchObject({
      kind: 'scatter',
      x: 'size',
      y: 'ns',
    })
  })

  it('draws nothing where nothing is measured', () => {
    expect(chart(result(['event', 'kind'], ['BIGINT', 'VARCHAR'], [[1, 'call']]))).toBeNull()
    expect(chart(result(['n'], ['BIGINT'], []))).toBeNull()
  })
})

describe('moments', () => {
  it('finds the event, or the time and the process, of each row', () => {
    expect(
      moments(
        result(
          ['call', 'process', 'start'],
          [],
          [
            [7, 1, 90],
            ['x', 1, null],
          ],
        ),
      ),
    ).toEqual([{ at: 90, process: 1, event: 7, row: 0 }])
    expect(moments(result(['n'], [], [[7]]))).toEqual([])
  })
})
