import { describe, expect, it } from 'vitest'
import { applications, family, latest, moved, platform, roster, turns, type Wishes } from './roster'
import type { Process } from './types'

const process = (id: number, depth: number, label: string, more: Partial<Process> = {}): Process =>
  ({
    process: id,
    depth,
    label,
    pid: `<0.${id}.0>`,
    kind: 'process',
    module: null,
    name: null,
    ...more,
  }) as Process
const tree = [
  process(0, 0, 'main'),
  process(1, 0, ':logger', { name: ':logger' }),
  process(2, 0, 'Supervisor', { module: 'Supervisor.Default', name: 'Shop.Supervisor' }),
  process(3, 1, 'Seats 1', { module: 'Shop.Seats', kind: 'gen_server' }),
  process(4, 1, 'Seats 2', { module: 'Shop.Seats', kind: 'gen_server' }),
  process(5, 2, 'Task 1', { initial: 'Task.Supervised.reply/2', kind: 'task' }),
  process(6, 0, 'ExUnit.Server', { module: 'ExUnit.Server' }),
]
const coded = new Set([3, 4, 5])
const none: Wishes = { grouping: 'tree', pinned: [], hidden: new Set(), order: [], search: '' }
const shape = (wishes: Partial<Wishes>): [string, number[]][] =>
  roster(tree, coded, { ...none, ...wishes }).map((one) => [one.key, one.processes.map((p) => p.process)])

describe('the roster of lanes', () => {
  it('knows an application by its names, and by what stands above', () => {
    expect([...applications(tree).values()]).toEqual([
      'Erlang/OTP',
      'Erlang/OTP',
      'Shop',
      'Shop',
      'Shop',
      'Shop',
      'ExUnit',
    ])
    expect([...platform(tree, coded)]).toEqual([0, 1, 6])
    expect([...platform(tree, new Set([6]))]).toEqual([0, 1])
    expect(family('Seats 12')).toBe('Seats')
  })

  it('puts the platform last, whatever the grouping', () => {
    expect(shape({})).toEqual([
      ['', [2, 3, 4, 5]],
      ['platform', [0, 1, 6]],
    ])
    expect(shape({ grouping: 'application' })[0]).toEqual(['Shop', [2, 3, 4, 5]])
    expect(shape({ grouping: 'name' })).toEqual([
      ['Seats', [3, 4]],
      ['', [2]],
      ['', [5]],
      ['platform', [0, 1, 6]],
    ])
  })

  it('pins, hides, searches and reorders', () => {
    expect(shape({ pinned: [5, 3], hidden: new Set([2]) }).slice(0, 2)).toEqual([
      ['pinned', [5, 3]],
      ['', [4]],
    ])
    expect(shape({ search: 'seats' })).toEqual([['', [3, 4]]])
    expect(shape({ order: [4, 3] })[0]).toEqual(['', [4, 3, 2, 5]])
    expect(moved([2, 3, 4], 4, -1)).toEqual([2, 4, 3])
    expect(moved([2, 3, 4], 4, 1)).toEqual([2, 3, 4])
  })

  it('keeps the depth of what stays in the tree', () => {
    const [first] = roster(tree, coded, { ...none, hidden: new Set([2]) })
    expect(first?.processes.map((one) => one.depth)).toEqual([0, 0, 1])
  })
})

describe('the turns of lives', () => {
  const lives = [
    { start: 0, end: null },
    { start: 5, end: 9 },
    { start: 9, end: 9 },
  ].map((life, id) => process(id, 0, 'p', life))
  const alive = (at: number): number[] =>
    lives.filter((one) => at >= one.start && (one.end === null || at <= one.end)).map((one) => one.process)

  it('are all the times at which somebody comes or is gone', () => {
    expect(turns(lives)).toEqual([0, 5, 9, 10])
    for (let at = 0; at < 15; at += 1) expect(alive(latest(turns(lives), at))).toEqual(alive(at))
    expect([latest([], 3), latest([5], 4), latest([5], 5)]).toEqual([-1, -1, 5])
  })
})
