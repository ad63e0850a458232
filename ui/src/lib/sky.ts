import { forest } from './graph'
import type { GraphEdge, GraphNode } from './types'

/**
 * The constellation in space: each process hangs below its supervisor, families in discs. After the cone trees of
 * Robertson, Mackinlay and Card (1991); within a disc, children stand on Vogel's spiral (1979), which fills it evenly
 * however many they are.
 */

export interface Star {
  node: GraphNode
  x: number
  y: number
  z: number
  r: number // its own radius
}

export interface Camera {
  yaw: number // radians around the vertical
  pitch: number // radians; 0 looks level
  zoom: number // 1 shows everything
  left: number // px
  top: number
}

/** A star as seen: where, how large (1 at the centre of the sky), how far (larger is farther). */
export interface Seen {
  star: Star
  x: number
  y: number
  scale: number
  depth: number
  radius: number // px
}

const GOLDEN = Math.PI * (3 - Math.sqrt(5))
const APART = 1.35 // between the middles of two neighbours, in radii
const EYE = 2.6 // distance of the eye from the middle, in radii of the sky
const FEW = 150 // so many can be dots that are easy to see and to hit
const STRETCH = 2 // of one direction against the other, at most
const CELL = 4 // px: how exactly it is known where there is room for names

/**
 * Places every process once; positions do not depend on the moment but on who is there. `flat` is the same from
 * above: discs in discs, a supervisor in the middle of its own.
 */
export function cones(nodes: GraphNode[], edges: GraphEdge[], flat = false): Star[] {
  const parent = forest(nodes, edges)
  const children = new Map<number, GraphNode[]>()
  const roots: GraphNode[] = []
  for (const node of nodes) {
    const up = parent.get(node.process)
    const family = up === undefined ? roots : (children.get(up) ?? [])
    if (up !== undefined) children.set(up, family)
    family.push(node)
  }
  const radius = new Map<number, number>()
  const middle = flat ? 1 : 0 // room for who stands in the middle of a disc
  const measure = (family: GraphNode[], inner = middle): number => {
    let area = inner
    let reach = 0
    for (const node of family) {
      const below = children.get(node.process)
      radius.set(node.process, Math.max(1, below ? measure(below) : 1))
    }
    for (const node of bySize(family, radius)) {
      const r = radius.get(node.process) ?? 1
      area += r * r
      reach = Math.max(reach, distance(area, r) + r)
    }
    return reach
  }
  measure(roots, 0)
  const stars: Star[] = []
  const place = (family: GraphNode[], x: number, y: number, z: number, inner = middle): void => {
    let area = inner
    bySize(family, radius).forEach((node, index) => {
      const r = radius.get(node.process) ?? 1
      area += r * r
      const far = distance(area, r)
      const [px, pz] = [x + far * Math.cos(index * GOLDEN), z + far * Math.sin(index * GOLDEN)]
      stars.push(flat ? { node, x: px, y: pz, z: 0, r: 0.5 } : { node, x: px, y, z: pz, r: 0.5 })
      const below = children.get(node.process)
      if (below) place(below, px, y + Math.max(3, r * 0.8), pz)
    })
  }
  place(roots, 0, 0, 0, 0)
  return centred(stars)
}

const distance = (area: number, own: number): number => APART * Math.sqrt(Math.max(0, area - own * own))

const bySize = (family: GraphNode[], radius: Map<number, number>): GraphNode[] =>
  [...family].sort(
    (a, b) => (radius.get(b.process) ?? 1) - (radius.get(a.process) ?? 1) || a.process - b.process,
  )

/** Around the origin, within a ball of radius 1. */
export function centred(stars: Star[]): Star[] {
  if (stars.length === 0) return []
  const middle = (of: (star: Star) => number): number => {
    const [low, high] = stars.reduce(([a, b], star) => [Math.min(a, of(star)), Math.max(b, of(star))], [
      Infinity,
      -Infinity,
    ] as [number, number])
    return (low + high) / 2
  }
  const [mx, my, mz] = [middle((star) => star.x), middle((star) => star.y), middle((star) => star.z)]
  const far = stars.reduce((most, s) => Math.max(most, Math.hypot(s.x - mx, s.y - my, s.z - mz)), 1)
  return stars.map((s) => ({
    node: s.node,
    x: (s.x - mx) / far,
    y: (s.y - my) / far,
    z: (s.z - mz) / far,
    r: s.r / far,
  }))
}

/**
 * All stars in perspective, the farthest first: so they are painted. `flat` looks from infinitely far away. In space the
 * sky is stretched towards the shape of the place that it is seen in, the same however it is turned.
 */
export function project(stars: Star[], camera: Camera, width: number, height: number, flat = false): Seen[] {
  const [wide, high] = flat ? [1, 1] : reach(stars, camera.pitch)
  const fit = [width / 2 - (flat ? 24 : 56), height / 2 - (flat ? 24 : 30)] as const
  const least = Math.max(8, Math.min(fit[0] / wide, fit[1] / high))
  const most = flat ? least : least * STRETCH
  const [across, down] = [
    Math.min(most, Math.max(least, fit[0] / wide)) * camera.zoom,
    Math.min(most, Math.max(least, fit[1] / high)) * camera.zoom,
  ]
  const unit = least * camera.zoom
  const smallest = stars.length < FEW ? 4 : 2
  const [cy, sy, cp, sp] = [
    Math.cos(camera.yaw),
    Math.sin(camera.yaw),
    Math.cos(camera.pitch),
    Math.sin(camera.pitch),
  ]
  const seen = stars.map((star) => {
    const x = star.x * cy - star.z * sy
    const deep = star.x * sy + star.z * cy
    const y = star.y * cp - deep * sp
    const depth = star.y * sp + deep * cp
    const scale = flat ? 1 : EYE / (EYE + depth)
    return {
      star,
      x: width / 2 + camera.left + x * scale * across,
      y: height / 2 + camera.top + y * scale * down,
      scale,
      depth,
      radius: Math.max(smallest, Math.min(13, star.r * scale * unit)),
    }
  })
  return seen.sort((a, b) => b.depth - a.depth || a.star.node.process - b.star.node.process)
}

/** How far from the middle the stars reach on a screen, to the side and up or down, however they are turned. */
function reach(stars: Star[], pitch: number): [number, number] {
  const [cp, sp] = [Math.cos(pitch), Math.sin(pitch)]
  let [side, up] = [0.05, 0.05]
  for (const { x, y, z } of stars) {
    const far = Math.hypot(x, z)
    for (const [across, deep] of [
      [1, 0],
      [0.85, -0.5],
      [0, -1],
      [0, 1],
    ] as const) {
      const scale = EYE / (EYE + y * sp + far * deep * cp)
      side = Math.max(side, far * across * scale)
      up = Math.max(up, Math.abs(y * cp - far * deep * sp) * scale)
    }
  }
  return [side, up]
}

/** A star with the place of its name: the middle of its baseline. */
export interface Name {
  seen: Seen
  x: number
  y: number
}

/**
 * Names that touch neither each other nor a star, those that matter most first: below its star, else beside or above it,
 * else there is none, but for who matters most. After the greedy labelling of Christensen, Marks and Shieber (1995). `width` is that of a name.
 */
export function named(
  seen: Seen[],
  rank: (seen: Seen) => number,
  width: (seen: Seen) => number,
  room: { width: number; height: number },
  most = 80,
): Name[] {
  const columns = Math.ceil(room.width / CELL)
  const taken = new Uint8Array(columns * Math.ceil(room.height / CELL))
  /** The cells of a box, while `each` holds; whether it held for all, and all were in sight. */
  const all = (left: number, top: number, right: number, bottom: number, each: (cell: number) => boolean) => {
    if (left < 0 || top < 0 || right >= room.width || bottom >= room.height) return false
    for (let row = Math.floor(top / CELL); row <= Math.floor(bottom / CELL); row += 1)
      for (let column = Math.floor(left / CELL); column <= Math.floor(right / CELL); column += 1)
        if (!each(row * columns + column)) return false
    return true
  }
  const free = (cell: number): boolean => taken[cell] === 0
  const take = (cell: number): boolean => (taken[cell] = 1) === 1
  for (const { x, y, radius } of seen) {
    const half = Math.max(1, radius - 2)
    all(x - half, y - half, x + half, y + half, take)
  }
  const found: Name[] = []
  for (const one of [...seen].sort((a, b) => rank(b) - rank(a) || b.scale - a.scale)) {
    if (found.length >= most) break
    const half = width(one) / 2
    const beside = half + one.radius + 5
    const places = [
      [one.x, one.y + one.radius + 14],
      [one.x + beside, one.y + 4],
      [one.x - beside, one.y + 4],
      [one.x, one.y - one.radius - 6],
    ] as const
    const place =
      places.find(([x, y]) => all(x - half, y - 10, x + half, y + 3, free)) ??
      (found.length === 0 ? places[0] : undefined)
    if (!place) continue
    const [x, y] = place
    all(x - half - 2, y - 11, x + half + 2, y + 4, take)
    found.push({ seen: one, x, y })
  }
  return found
}

/** The star under a point, the nearest to the eye when several are. */
export const under = (seen: Seen[], x: number, y: number): Seen | null =>
  seen.findLast((one) => Math.hypot(one.x - x, one.y - y) <= one.radius + 3) ?? null
