import type { GraphEdge, GraphNode } from './types'

/** Layout of the constellation: supervision is a tidy tree, what nobody supervises stands beside it. */

export interface Placed {
  node: GraphNode
  x: number
  y: number
}

export interface Layout {
  placed: Map<number, Placed>
  width: number
  height: number
}

const GAP_X = 148
const GAP_Y = 92
const MOST_X = 2
const MOST_Y = 2.2

/** Parents by supervision, else by spawn. A loop in what was recorded is cut where it closes. */
export function forest(nodes: GraphNode[], edges: GraphEdge[]): Map<number, number> {
  const known = new Set(nodes.map((node) => node.process))
  const parent = new Map<number, number>()
  for (const kind of ['supervises', 'spawn']) {
    for (const edge of edges) {
      if (edge.kind !== kind || parent.has(edge.target) || edge.source === edge.target) continue
      if (!known.has(edge.source) || !known.has(edge.target)) continue
      if (above(parent, edge.source, edge.target)) continue
      parent.set(edge.target, edge.source)
    }
  }
  return parent
}

function above(parent: Map<number, number>, from: number, wanted: number): boolean {
  let at: number | undefined = from
  while (at !== undefined) {
    if (at === wanted) return true
    at = parent.get(at)
  }
  return false
}

const COLUMNS = [2, 3, 4, 5, 6, 8, 10, 12, 16]

/** Arranged so that it is drawn as large as a place allows, spread out towards the shape of that. */
export function placed(
  nodes: GraphNode[],
  edges: GraphEdge[],
  [width, height]: [number, number],
  gap = GAP_X,
): Layout {
  if (width <= 0 || height <= 0) return arrange(nodes, edges)
  const scale = (layout: Layout): number => Math.min(width / layout.width, height / layout.height)
  const all = COLUMNS.map((columns) => arrange(nodes, edges, columns, gap))
  return fitted(
    all.reduce((best, next) => (scale(next) > scale(best) ? next : best)),
    width,
    height,
  )
}

/** Leaves get a column each, parents stand over the middle of their children; wide families wrap, and so do the lone. */
export function arrange(nodes: GraphNode[], edges: GraphEdge[], columns = 8, gap = GAP_X): Layout {
  const parent = forest(nodes, edges)
  const children = new Map<number, GraphNode[]>()
  const roots: GraphNode[] = []
  for (const node of nodes) {
    const up = parent.get(node.process)
    if (up === undefined) roots.push(node)
    else children.set(up, [...(children.get(up) ?? []), node])
  }
  const placed = new Map<number, Placed>()
  let width = 0
  let height = 0

  /** Places a subtree with its left edge at `left`; returns the columns it takes. */
  const place = (node: GraphNode, left: number, row: number): number => {
    const below = children.get(node.process) ?? []
    const leaves = below.every((child) => !children.has(child.process))
    let taken = 0
    if (leaves && below.length > 4) {
      const most = Math.max(4, Math.min(columns, Math.ceil(Math.sqrt(below.length * 0.8)))) // about as wide as high
      const wide = Math.ceil(below.length / Math.ceil(below.length / most))
      below.forEach((child, index) => {
        put(child, left + (index % wide), row + 1 + Math.floor(index / wide))
      })
      taken = wide
    } else {
      for (const child of below) taken += place(child, left + taken, row + 1)
    }
    const columnsTaken = Math.max(1, taken)
    put(node, left + (columnsTaken - 1) / 2, row)
    return columnsTaken
  }
  const put = (node: GraphNode, column: number, row: number): void => {
    placed.set(node.process, { node, x: (column + 0.5) * gap, y: (row + 0.5) * GAP_Y })
    width = Math.max(width, (column + 1) * gap)
    height = Math.max(height, (row + 1) * GAP_Y)
  }

  let left = 0
  for (const root of roots.filter((node) => children.has(node.process))) left += place(root, left, 0)
  const alone = roots.filter((node) => !children.has(node.process))
  const treeHeight = Math.round(height / GAP_Y)
  const wide = Math.max(1, Math.min(columns, Math.ceil(alone.length / Math.max(1, treeHeight))))
  alone.forEach((node, index) => put(node, left + (index % wide), Math.floor(index / wide)))
  return { placed, width: Math.max(width, gap), height: Math.max(height, GAP_Y) }
}

/** The same spread out towards the shape of its place, up to a point: arcs and names then have room. */
export function fitted(layout: Layout, width: number, height: number): Layout {
  if (width <= 0 || height <= 0) return layout
  const wanted = width / height / (layout.width / layout.height)
  const [x, y] = [Math.min(MOST_X, Math.max(1, wanted)), Math.min(MOST_Y, Math.max(1, 1 / wanted))]
  const placed = [...layout.placed].map(([process, at]): [number, Placed] => [
    process,
    { node: at.node, x: at.x * x, y: at.y * y },
  ])
  return { placed: new Map(placed), width: layout.width * x, height: layout.height * y }
}

/** A gentle arc between two nodes, ending at their rims, so that back and forth stay apart. */
export function arc(a: Placed, b: Placed, radius: number, bend = 0.14): string {
  const dx = b.x - a.x
  const dy = b.y - a.y
  const far = Math.hypot(dx, dy) || 1
  const ux = dx / far
  const uy = dy / far
  const mx = (a.x + b.x) / 2 - uy * far * bend
  const my = (a.y + b.y) / 2 + ux * far * bend
  const start = rim(a, mx, my, radius)
  const end = rim(b, mx, my, radius + 5)
  return `M${r(start[0])} ${r(start[1])} Q${r(mx)} ${r(my)} ${r(end[0])} ${r(end[1])}`
}

function rim(from: Placed, x: number, y: number, radius: number): [number, number] {
  const far = Math.hypot(x - from.x, y - from.y) || 1
  return [from.x + ((x - from.x) / far) * radius, from.y + ((y - from.y) / far) * radius]
}

const r = (n: number): number => Math.round(n * 10) / 10
