import { describe, expect, it } from 'vitest'
import { arc, arrange, fitted, forest, placed } from './graph'
import type { GraphEdge, GraphNode } from './types'

const node = (process: number): GraphNode => ({
  process,
  label: `p${process}`,
  kind: 'process',
  alive: true,
  activity: 0,
  mailbox: 0,
  memory: null,
})
const edge = (source: number, target: number, kind: string): GraphEdge => ({
  source,
  target,
  kind,
  count: 1,
  certain: true,
  reason: null,
})

describe('the constellation', () => {
  it('prefers supervision over spawn and cuts loops', () => {
    const found = forest([0, 1, 2].map(node), [
      edge(2, 1, 'spawn'),
      edge(0, 1, 'supervises'),
      edge(1, 0, 'supervises'),
      edge(9, 2, 'supervises'),
    ])
    expect([...found]).toEqual([[1, 0]])
  })

  it('places every process once, none on top of another, parents above children', () => {
    const nodes = Array.from({ length: 30 }, (_, index) => node(index))
    const edges = [
      ...[1, 2, 3].map((child) => edge(0, child, 'supervises')),
      ...[4, 5, 6, 7, 8, 9].map((child) => edge(2, child, 'supervises')),
    ]
    const { placed } = arrange(nodes, edges)
    expect(placed.size).toBe(30)
    expect(new Set([...placed.values()].map(({ x, y }) => `${x},${y}`)).size).toBe(30)
    for (const { source, target } of edges) {
      expect(placed.get(source)?.y).toBeLessThan(placed.get(target)?.y ?? 0)
    }
  })

  it('spreads towards the shape of its place, and not without end', () => {
    const flat = arrange(
      [0, 1, 2, 3].map(node),
      [1, 2, 3].map((child) => edge(0, child, 'supervises')),
    )
    const square = fitted(flat, 400, 330)
    expect(square.height / square.width).toBeCloseTo(330 / 400)
    expect(square.placed.get(1)!.x).toBe(flat.placed.get(1)!.x)
    expect(square.placed.get(1)!.y).toBeGreaterThan(flat.placed.get(1)!.y)
    expect(fitted(flat, 100, 9000).height).toBeLessThan(flat.height * 3)
    expect(fitted(flat, 0, 0)).toBe(flat)
  })

  it('is arranged so that it is drawn as large as its place allows', () => {
    const crowd = Array.from({ length: 15 }, (_, index) => node(index))
    const edges = [edge(0, 1, 'supervises')]
    const scale = (wide: number, high: number): number => {
      const { width, height } = placed(crowd, edges, [wide, high])
      return Math.min(wide / width, high / height)
    }
    expect(placed(crowd, edges, [640, 360]).placed.size).toBe(15)
    expect(scale(640, 360)).toBeGreaterThan(640 / arrange(crowd, edges, 6).width)
    expect(scale(300, 900)).toBeGreaterThan(300 / arrange(crowd, edges, 6).width)
    expect(scale(1600, 500)).toBeGreaterThanOrEqual(1)
  })

  it('draws arcs that stop at the rims', () => {
    const a = { node: node(0), x: 0, y: 0 }
    const b = { node: node(1), x: 100, y: 0 }
    expect(arc(a, b, 10, 0)).toBe('M10 0 Q50 0 85 0')
  })
})
