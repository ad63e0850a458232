import { describe, expect, it } from 'vitest'
import { centred, cones, named, project, under, type Camera } from './sky'
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
const supervises = (source: number, target: number): GraphEdge => ({
  source,
  target,
  kind: 'supervises',
  count: 1,
  certain: true,
  reason: null,
})
const LEVEL: Camera = { yaw: 0, pitch: 0, zoom: 1, left: 0, top: 0 }
const many = (count: number) => Array.from({ length: count }, (_, index) => node(index))
/** 0 over 1 and 2, those over all the rest in turn. */
const family = (count: number) =>
  Array.from({ length: count - 1 }, (_, index) => supervises(index < 2 ? 0 : 1 + (index % 2), index + 1))

describe('the constellation in space', () => {
  it('places every process once, children below their supervisor, all within the ball', () => {
    const stars = cones(many(2000), family(2000))
    expect(new Set(stars.map((star) => star.node.process)).size).toBe(2000)
    const at = new Map(stars.map((star) => [star.node.process, star]))
    for (const { source, target } of family(2000))
      expect(at.get(target)!.y).toBeGreaterThan(at.get(source)!.y)
    for (const star of stars) expect(Math.hypot(star.x, star.y, star.z)).toBeLessThanOrEqual(1 + 1e-9)
  })

  it('keeps neighbours apart', () => {
    const stars = cones(many(120), [])
    const far = stars.flatMap((a, index) =>
      stars.slice(index + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y, a.z - b.z)),
    )
    expect(Math.min(...far)).toBeGreaterThan(0.05)
  })

  it('lays the same out flat, a supervisor within its own disc, none on top of another', () => {
    const stars = cones(many(2000), family(2000), true)
    expect(stars.every((star) => star.z === 0)).toBe(true)
    const places = stars.map((star) => `${star.x.toFixed(4)},${star.y.toFixed(4)}`)
    expect(new Set(places).size).toBe(2000)
  })

  it('paints the far before the near, and the near larger', () => {
    const stars = centred([
      { node: node(1), x: 0, y: 0, z: 1, r: 0.5 },
      { node: node(2), x: 0, y: 0, z: -1, r: 0.5 },
    ])
    const seen = project(stars, LEVEL, 400, 300)
    expect(seen.map((one) => one.star.node.process)).toEqual([1, 2])
    expect(seen[1]!.scale).toBeGreaterThan(seen[0]!.scale)
    const turned = project(stars, { ...LEVEL, yaw: Math.PI }, 400, 300)
    expect(turned.map((one) => one.star.node.process)).toEqual([2, 1])
    expect(under(seen, 200, 150)?.star.node.process).toBe(2)
    expect(under(seen, 300, 150)).toBeNull()
  })

  it('fills a wide place and a high one, and stays within it however it is turned', () => {
    const stars = cones(many(200), family(200))
    for (const [width, height] of [
      [1200, 400],
      [500, 900],
    ] as const) {
      const share = (yaw: number): [number, number] => {
        const seen = project(stars, { ...LEVEL, yaw, pitch: -0.4 }, width, height)
        const [xs, ys] = [seen.map((one) => one.x), seen.map((one) => one.y)]
        expect(Math.min(...xs)).toBeGreaterThanOrEqual(0)
        expect(Math.max(...xs)).toBeLessThanOrEqual(width)
        expect(Math.min(...ys)).toBeGreaterThanOrEqual(0)
        expect(Math.max(...ys)).toBeLessThanOrEqual(height)
        return [(Math.max(...xs) - Math.min(...xs)) / width, (Math.max(...ys) - Math.min(...ys)) / height]
      }
      for (const yaw of [0, 1, 2, 3]) expect(Math.max(...share(yaw))).toBeGreaterThan(0.5)
    }
  })

  it('names what matters most, and lets no two names touch', () => {
    const stars = cones(many(300), family(300))
    const seen = project(stars, LEVEL, 800, 600)
    const shown = named(
      seen,
      (one) => (one.star.node.process === 7 ? 1 : 0),
      () => 60,
      { width: 800, height: 600 },
    )
    expect(shown[0]?.seen.star.node.process).toBe(7)
    expect(shown.length).toBeGreaterThan(10)
    shown.forEach((a, index) => {
      for (const b of shown.slice(index + 1))
        expect(Math.abs(a.y - b.y) >= 13 || Math.abs(a.x - b.x) >= 60).toBe(true)
      // Who matters most has a name in any case.
      for (const { star, x, y } of index === 0 ? [] : seen)
        expect([star.node.process, Math.abs(x - a.x) < 30 && y > a.y - 10 && y < a.y + 3]).toEqual([
          star.node.process,
          false,
        ])
    })
    expect(cones([], [])).toEqual([])
  })
})
