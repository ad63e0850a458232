import { describe, expect, it } from 'vitest'
import { cast, closeUp, crux, keep, payload, stretch } from './story'
import type { Finding, Process } from './types'

const process = (id: number, depth: number, kind = 'gen_server', module: string | null = 'M'): Process =>
  ({ process: id, depth, kind, module }) as Process
const processes = new Map(
  [process(1, 0), process(2, 0, 'test'), process(3, 0, 'process', null)].map((one) => [one.process, one]),
)
const finding = (...evidence: [at: number, process: number, call: number | null][]): Finding =>
  ({
    evidence: evidence.map(([at, process, call]) => ({ moment: { at, process, event: at, call }, text: '' })),
  }) as Finding

describe('the story of a finding', () => {
  it('is told at the crash rather than at the failed test', () => {
    const crash = finding([10, 1, null], [20, 1, 5], [30, 1, null], [900, 2, 7])
    const moment = crux(crash, processes)
    expect(moment?.at).toBe(20)
    expect(moment && stretch(crash, moment)).toEqual([10, 20])
    expect(cast(crash)).toEqual(new Set([1, 2]))
  })

  it('is told at the last own moment without calls, and anywhere rather than nowhere', () => {
    expect(crux(finding([10, 1, null], [20, 1, null], [30, 3, 4]), processes)?.at).toBe(20)
    expect(crux(finding([10, 2, 1], [30, 3, null]), processes)?.at).toBe(30)
    expect(crux(finding(), processes)).toBeNull()
    const one = finding([10, 1, null])
    expect(stretch(one, { at: 10, process: 1, event: 10, call: null })).toBeNull()
  })
})

describe('lanes that matter', () => {
  it('hang below the nearest ancestor that stays', () => {
    const tree = [process(0, 0), process(1, 1), process(2, 2), process(3, 2), process(4, 1), process(5, 0)]
    const kept = keep(tree, new Set([0, 3, 4, 5]))
    expect(kept.map((one) => [one.process, one.depth])).toEqual([
      [0, 0],
      [3, 1],
      [4, 1],
      [5, 0],
    ])
  })
})

describe('what a message says', () => {
  it('is shown without its envelope', () => {
    const from = '{#PID<0.351.0>, [:alias | #Reference<0.87.34.22>]}'
    expect(payload(`{:"$gen_call", ${from}, {:free?, "D5"}}`)).toBe('{:free?, "D5"}')
    expect(payload('{:"$gen_cast", {:sold, 1}}')).toBe('{:sold, 1}')
    expect(payload('{[:alias | #Reference<0.87.34.22>], true}')).toBe('true')
    expect(payload('{#Reference<0.1.2.3>, :ok}')).toBe(':ok')
    expect(payload('{:"$gen_cast", {:sold, … 12 more bytes')).toBe('{:sold, … 12 more bytes')
    for (const plain of ['{:a, 1}', ':ok', '', '{#PID<0.1.0>, 1}']) expect(payload(plain)).toBe(plain)
  })
})

describe('a step of a story', () => {
  // A value is made, passed on twice within microseconds, and does its harm much later.
  const times = [1_000, 2_000, 5_000, 83_000_000, 83_014_000]

  it('is shown close enough to tell it from the one nearest to it, with those that have room', () => {
    expect(closeUp(times, 2_000, 100_000_000, 600)).toEqual([1_000, 5_000])
    expect(closeUp(times, 83_000_000, 100_000_000, 600)).toEqual([83_000_000, 83_014_000])
  })

  it('is shown with its neighbour when the view was too close for that', () => {
    expect(closeUp(times, 83_014_000, 17_000, 600)).toEqual([83_000_000, 83_014_000])
  })

  it('leaves a view that does', () => {
    expect(closeUp(times, 2_000, 6_000, 600)).toBeNull()
    expect(closeUp([7, 7], 7, 100, 600)).toBeNull()
  })
})
