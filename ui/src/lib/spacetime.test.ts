import { describe, expect, it } from 'vitest'
import { LANE, layout, LEFT, STEP } from './spacetime'
import type { Point } from './types'

const point = (
  event: number,
  lane: number,
  step: number,
  beside: Point['beside'],
  cause: number | null = null,
): Point => ({ event, at: event, process: lane, lane, step, label: `e${event}`, cause, beside })

const data = (points: Point[]) => ({ lanes: [0, 1, 2], points, steps: 9, total: points.length, offset: 0 })

describe('the space-time diagram', () => {
  it('puts lanes below each other and logical time to the right', () => {
    const drawn = layout(data([point(1, 0, 4, 'before'), point(2, 1, 5, 'same', 1)]), 1)
    expect(drawn.dots.map((dot) => [dot.x, dot.y])).toEqual([
      [LEFT, LANE / 2],
      [LEFT + STEP, LANE * 1.5],
    ])
    expect(drawn.edges).toHaveLength(1)
    expect(drawn.lanes.map((lane) => lane.process)).toEqual([0, 1])
  })

  it('shades what is before, concurrent and after in each lane, without a gap', () => {
    const drawn = layout(
      data([
        point(1, 0, 0, 'before'),
        point(2, 1, 1, 'same', 1),
        point(3, 0, 1, 'concurrent'),
        point(4, 0, 3, 'after', 2),
        point(5, 2, 2, 'concurrent'),
      ]),
      1,
    )
    const kinds = (lane: number) =>
      drawn.bands.filter((band) => band.y === lane * LANE).map((band) => band.kind)
    expect(kinds(0)).toEqual(['before', 'concurrent', 'after'])
    expect(kinds(1)).toEqual(['before', 'after'])
    expect(kinds(2)).toEqual(['concurrent'])
    for (const lane of [0, 1, 2]) {
      const mine = drawn.bands.filter((band) => band.y === lane * LANE)
      expect(mine.reduce((sum, band) => sum + band.width, 0)).toBe(drawn.width)
    }
    expect(drawn.here).toBeNull()
  })

  it('marks where the event stands between two crossings', () => {
    const drawn = layout(data([point(1, 0, 0, 'before'), point(4, 0, 2, 'after')]), 0)
    expect(drawn.here).toEqual({ x: LEFT + STEP, y: LANE / 2 })
  })

  it('gives the event in question a lane of its own, and draws nothing of nothing', () => {
    const drawn = layout(data([]), 7)
    expect(drawn.lanes).toEqual([{ process: 7, y: LANE / 2 }])
    expect(drawn.dots).toEqual([])
  })
})
