import { describe, expect, it } from 'vitest'
import { HEAD, hit, laneAt, layout, PAD, parents, ROW, spanTop, visible } from './lanes'
import type { Lane, Process } from './types'

const process = (id: number, depth: number): Process => ({ process: id, depth, label: `p${id}` }) as Process
const section = (processes: Process[], key = '', folded = false) => ({ key, title: key, folded, processes })
const tree = [process(0, 0), process(1, 1), process(2, 2), process(3, 1), process(4, 0)]

describe('lanes', () => {
  it('hide what is below a collapsed process', () => {
    const ids = (collapsed: number[]): number[] => visible(tree, new Set(collapsed)).map((p) => p.process)
    expect(ids([])).toEqual([0, 1, 2, 3, 4])
    expect(ids([1])).toEqual([0, 1, 3, 4])
    expect(ids([0])).toEqual([0, 4])
    expect(parents(tree)).toEqual(new Set([0, 1]))
  })

  it('share the height, and show their whole depth when expanded', () => {
    const deepest = new Map([[1, 5]])
    const { boxes } = layout([section(tree)], new Set(), new Set(), deepest, 5 * (2 * ROW + 2 * PAD))
    expect(boxes.map((box) => box.rows)).toEqual([1, 2, 1, 1, 1])
    expect(layout([section(tree)], new Set(), new Set([1]), deepest, 100).boxes[1]?.rows).toBe(6)
    boxes.slice(1).forEach((box, index) => {
      const above = boxes[index]
      expect(box.top).toBe((above?.top ?? 0) + (above?.height ?? 0))
    })
    expect(laneAt(boxes, (boxes[3]?.top ?? 0) + 1)?.process.process).toBe(3)
    expect(laneAt(boxes, 1e6)).toBeNull()
  })

  it('stand farther apart when they are few, and never so far that they lose each other', () => {
    const height = (room: number): number =>
      layout([section(tree)], new Set(), new Set(), new Map(), room).boxes.reduce(
        (sum, one) => sum + one.height,
        0,
      )
    expect(height(400)).toBe(400)
    expect(height(100)).toBe(5 * (ROW + 2 * PAD))
    expect(height(4000)).toBeLessThan(1000)
  })

  it('stand below the heading of their group, and not at all when it is folded', () => {
    const sections = [section(tree.slice(0, 2), 'a'), section(tree.slice(2), 'b', true)]
    const { boxes, heads, tall } = layout(sections, new Set(), new Set(), new Map(), 400)
    expect(heads.map(({ key, count, folded }) => [key, count, folded])).toEqual([
      ['a', 2, false],
      ['b', 3, true],
    ])
    expect(boxes.map((box) => box.process.process)).toEqual([0, 1])
    expect(boxes[0]?.top).toBe(HEAD)
    expect(heads[1]?.top).toBe((boxes[1]?.top ?? 0) + (boxes[1]?.height ?? 0))
    expect(tall).toBe((heads[1]?.top ?? 0) + HEAD)
  })

  it('find marks before spans before the lane', () => {
    const box = layout([section(tree)], new Set(), new Set(), new Map([[0, 1]]), 600).boxes[0]
    if (!box) throw new Error('no lane')
    const span = {
      call: 7,
      start: 100,
      end: 300,
      depth: 0,
      label: 'f',
      outcome: 'returned',
      module: null,
      external: false,
    }
    const lane = {
      process: 0,
      spans: [span, { ...span, call: 8, start: 150, end: 200, depth: 1 }],
      marks: [{ event: 9, at: 500, kind: 'state', count: 1, calm: false }],
    } as Lane
    const at = (x: number, depth: number) =>
      hit(box, lane, { from: 0, to: 1000 }, 1000, x, spanTop(box, depth) + 2)
    expect(at(502, 0)).toMatchObject({ kind: 'mark', mark: { event: 9 } })
    expect(at(160, 0)).toMatchObject({ kind: 'span', span: { call: 7 } })
    expect(at(160, 1)).toMatchObject({ kind: 'span', span: { call: 8 } })
    expect(at(700, 0)).toEqual({ kind: 'lane' })
  })
})
