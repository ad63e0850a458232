import type { Point, SpaceTime } from './types'

/** The space-time diagram: lanes downwards, logical time to the right, and how all of it stands to one event. */

export const STEP = 26
export const LANE = 30 // px; at most HIGH when there is room
const HIGH = 54
export const LEFT = 18

export interface Dot {
  point: Point
  x: number
  y: number
}

/** A stretch of a lane: what came before the event, what is concurrent with it, what comes after. */
export interface Band {
  kind: 'before' | 'concurrent' | 'after'
  x: number
  width: number
  y: number
}

export interface Drawing {
  lanes: { process: number; y: number }[]
  dots: Dot[]
  edges: { from: Dot; to: Dot }[]
  bands: Band[]
  here: { x: number; y: number } | null // where the event stands, when it crosses no border itself
  width: number
  height: number
}

/**
 * Lays out a page of crossings; `own` is the process of the event that everything is compared with. Lanes that are few
 * share `room` (px).
 */
export function layout(data: SpaceTime, own: number | null, room = 0): Drawing {
  const present = new Set(data.points.map((point) => point.process))
  if (own !== null) present.add(own)
  const order = data.lanes.filter((process) => present.has(process))
  if (own !== null && !order.includes(own)) order.unshift(own)
  const lane = Math.max(LANE, Math.min(HIGH, Math.floor(room / Math.max(1, order.length))))
  const y = new Map(order.map((process, index) => [process, index * lane + lane / 2]))
  const first = Math.min(...data.points.map((point) => point.step), Infinity)
  const dots = data.points.map((point) => ({
    point,
    x: LEFT + (point.step - first) * STEP,
    y: y.get(point.process) ?? 0,
  }))
  const byEvent = new Map(dots.map((dot) => [dot.point.event, dot]))
  const edges = dots.flatMap((to) => {
    const from = to.point.cause === null ? undefined : byEvent.get(to.point.cause)
    return from ? [{ from, to }] : []
  })
  const width = Math.max(0, ...dots.map((dot) => dot.x)) + STEP + LEFT
  const bands: Band[] = []
  let here: Drawing['here'] = null
  for (const process of order) {
    const mine = dots.filter((dot) => dot.point.process === process)
    if (mine.every((dot) => dot.point.beside === null)) continue
    const middle = y.get(process) ?? 0
    const past = mine.filter((dot) => dot.point.beside === 'before').at(-1)
    const future = mine.find((dot) => dot.point.beside === 'after')
    const same = mine.find((dot) => dot.point.beside === 'same')
    const low = past ? past.x + STEP / 2 : 0
    const high = future ? Math.max(low, future.x - STEP / 2) : width
    const stretch = (kind: Band['kind'], x: number, to: number): void => {
      if (to > x) bands.push({ kind, x, width: to - x, y: middle - LANE / 2 })
    }
    stretch('before', 0, same ? same.x : low)
    if (process !== own) stretch('concurrent', low, high)
    stretch('after', same ? same.x : process === own ? low : high, width)
    if (process === own && !same) here = { x: future ? (low + high) / 2 : low, y: middle }
  }
  return {
    lanes: order.map((process) => ({ process, y: y.get(process) ?? 0 })),
    dots,
    edges,
    bands,
    here,
    width,
    height: order.length * lane,
  }
}
