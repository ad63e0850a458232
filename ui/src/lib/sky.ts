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

/** All stars in perspective, the farthest first: so they are painted. `flat` looks from infinitely far away. */
export function project(stars: Star[], camera: Camera, width: number, height: number, flat = false): Seen[] {
  const unit = (Math.min(width, height) / 2 - 24) * camera.zoom
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
      x: width / 2 + camera.left + x * scale * unit,
      y: height / 2 + camera.top + y * scale * unit,
      scale,
      depth,
      radius: Math.max(2, Math.min(13, star.r * scale * unit)),
    }
  })
  return seen.sort((a, b) => b.depth - a.depth || a.star.node.process - b.star.node.process)
}

/** The stars whose names fit without touching each other, those that matter most first; `width` is that of a name. */
export function named(
  seen: Seen[],
  rank: (seen: Seen) => number,
  width: (seen: Seen) => number,
  most = 80,
): Seen[] {
  const taken: { x: number; y: number; w: number }[] = []
  const found: Seen[] = []
  for (const one of [...seen].sort((a, b) => rank(b) - rank(a) || b.scale - a.scale)) {
    if (found.length >= most) break
    const w = width(one) / 2 + 3
    if (taken.some((box) => Math.abs(box.y - one.y) < 14 && Math.abs(box.x - one.x) < box.w + w)) continue
    taken.push({ x: one.x, y: one.y, w })
    found.push(one)
  }
  return found
}

/** The star under a point, the nearest to the eye when several are. */
export const under = (seen: Seen[], x: number, y: number): Seen | null =>
  seen.findLast((one) => Math.hypot(one.x - x, one.y - y) <= one.radius + 3) ?? null
