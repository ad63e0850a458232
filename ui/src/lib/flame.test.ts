import { describe, expect, it } from 'vitest'
import { boxes, briefly, hit, neighbour, panned, shade, whole, zoomed } from './flame'
import type { Flame, FlameNode } from './types'

const node = (parent: number | null, depth: number, start: number, total_ns: number): FlameNode => ({
  parent,
  depth,
  function: 0,
  start,
  total_ns,
  self_ns: 1,
  wait_ns: 0,
  calls: 1,
  call: 7,
})
const flame = (nodes: FlameNode[], callers: FlameNode[] = [], view: Flame['view'] = 'merged'): Flame => ({
  view,
  start: 500,
  end: 900,
  total_ns: 100,
  hidden: 0,
  functions: [],
  nodes,
  callers,
})

describe('flame', () => {
  const simple = flame([node(null, 0, 0, 60), node(0, 1, 10, 20), node(null, 0, 60, 40)])
  const { boxes: all, rows } = boxes(simple)

  it('puts callees below, and finds what is under the pointer', () => {
    expect(rows).toBe(2)
    expect(hit(all, 1, 15, 0)?.index).toBe(1)
    expect(hit(all, 1, 40, 0)).toBeNull()
    expect(hit(all, 1, 31, 2)?.index).toBe(1)
    expect(hit(all, 0, 61, 0)?.index).toBe(2)
  })

  it('walks along the stack and among neighbours', () => {
    const [root, child, other] = all
    expect(neighbour(all, root!, 'ArrowDown')).toBe(child)
    expect(neighbour(all, child!, 'ArrowUp')).toBe(root)
    expect(neighbour(all, root!, 'ArrowRight')).toBe(other)
    expect(neighbour(all, other!, 'ArrowRight')).toBeNull()
    expect(neighbour(all, other!, 'ArrowDown')).toBeNull()
  })

  it('stands the callers of a sandwich above the function, the nearest lowest', () => {
    const sandwich = flame(
      [node(null, 0, 0, 50), node(0, 1, 0, 5)],
      [node(null, 0, 0, 50), node(0, 1, 0, 50), node(1, 2, 0, 20)],
      'sandwich',
    )
    const found = boxes(sandwich)
    expect(found.rows).toBe(4)
    expect(found.boxes.map((box) => [box.index, box.row])).toEqual([
      [3, 1],
      [4, 0],
      [0, 2],
      [1, 3],
    ])
  })

  it('fills time in a view over time and durations otherwise', () => {
    expect(whole(simple)).toEqual({ from: 0, to: 100 })
    expect(whole(flame([], [], 'time'))).toEqual({ from: 500, to: 900 })
    expect(whole(flame([]))).toEqual({ from: 0, to: 1 })
  })

  it('zooms around the pointer and stays inside', () => {
    const all = { from: 0, to: 100 }
    expect(zoomed(all, all, 0.5, 50)).toEqual({ from: 25, to: 75 })
    expect(zoomed({ from: 0, to: 10 }, all, 100, 5)).toEqual(all)
    expect(panned({ from: 0, to: 10 }, all, -5)).toEqual({ from: 0, to: 10 })
    expect(panned({ from: 0, to: 10 }, all, 500)).toEqual({ from: 90, to: 100 })
  })

  it('says a function briefly', () => {
    expect(briefly('A.Long.Seats.put/3')).toBe('Seats.put/3')
    expect(briefly('A.SeatsTest.test it is. ok/1')).toBe('SeatsTest.test it is. ok/1')
    expect(briefly(':ets.lookup/2')).toBe(':ets.lookup/2')
  })

  it('shades functions of one module alike', () => {
    expect(shade('A.b/1')).toBe(shade('A.c/2'))
    expect(shade('A.b/1')).not.toBe(shade('B.b/1'))
  })
})
