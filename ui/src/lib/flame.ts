import type { Flame, FlameNode } from './types'

/** A flame graph as boxes on a canvas: which node stands where, which is under the pointer, where the keys lead. */

export const ROW = 19

/** What part of the whole is shown, in ns. */
export interface Stretch {
  from: number
  to: number
}

export interface Box {
  index: number // of its node; callers of a sandwich count on behind the nodes
  node: FlameNode
  row: number
}

/** Every node with its row. Callers of a sandwich stand above the function, the nearest just above it. */
export function boxes(flame: Flame): { boxes: Box[]; rows: number } {
  const callers = flame.callers.filter((node) => node.depth > 0)
  const above = Math.max(0, ...callers.map((node) => node.depth))
  const below = flame.nodes.map((node, index) => ({ index, node, row: above + node.depth }))
  const upper = flame.callers.flatMap((node, index) =>
    node.depth > 0 ? [{ index: flame.nodes.length + index, node, row: above - node.depth }] : [],
  )
  const all = [...upper, ...below]
  return { boxes: all, rows: Math.max(0, ...all.map((box) => box.row + 1)) }
}

/** The stretch that all nodes fill: of time in a view over time, else of summed durations. */
export function whole(flame: Flame): Stretch {
  if (flame.view === 'time') return { from: flame.start, to: Math.max(flame.end, flame.start + 1) }
  const ends = [...flame.nodes, ...flame.callers].map((node) => node.start + node.total_ns)
  return { from: 0, to: Math.max(1, ...ends) }
}

/** The topmost box at a place, with a little grace for boxes that are thinner than the pointer is steady. */
export function hit(all: Box[], row: number, at: number, grace: number): Box | null {
  let best: Box | null = null
  let nearest = Infinity
  for (const box of all) {
    if (box.row !== row) continue
    const { start, total_ns } = box.node
    const away = at < start ? start - at : Math.max(0, at - start - total_ns)
    if (away <= grace && away < nearest) {
      best = box
      nearest = away
    }
  }
  return best
}

/** The box an arrow key leads to: up and down along the stack, left and right among neighbours in the row. */
export function neighbour(all: Box[], from: Box, key: string): Box | null {
  const middle = from.node.start + from.node.total_ns / 2
  if (key === 'ArrowUp' || key === 'ArrowDown') {
    const row = from.row + (key === 'ArrowDown' ? 1 : -1)
    const over = all.filter((box) => box.row === row)
    const touching = over.filter(
      (box) =>
        box.node.start < from.node.start + from.node.total_ns &&
        box.node.start + box.node.total_ns > from.node.start,
    )
    return hit(touching.length > 0 ? touching : [], row, middle, Infinity)
  }
  const row = all.filter((box) => box.row === from.row).sort((a, b) => a.node.start - b.node.start)
  return row[row.indexOf(from) + (key === 'ArrowRight' ? 1 : -1)] ?? null
}

/** Zooms around a place; never beyond the whole, never below a nanosecond. */
export function zoomed(now: Stretch, all: Stretch, factor: number, around: number): Stretch {
  const span = Math.max(1, Math.min((now.to - now.from) * factor, all.to - all.from))
  const share = (around - now.from) / (now.to - now.from)
  return placed(around - share * span, span, all)
}

export const panned = (now: Stretch, all: Stretch, by: number): Stretch =>
  placed(now.from + by, now.to - now.from, all)

function placed(from: number, span: number, all: Stretch): Stretch {
  const start = Math.max(all.from, Math.min(from, all.to - span))
  return { from: start, to: start + span }
}

/** A shade for a function, the same whenever it is drawn: 0 to 1. */
export function shade(label: string): number {
  let hash = 2166136261
  for (const char of label.replace(/\.[^.]*$/, ''))
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619)
  return ((hash >>> 0) % 97) / 97
}

/** `Seats.put/3` for `TicketOffice.Seats.put/3`: the application's own prefix says nothing new in a narrow place. */
export const briefly = (label: string): string => label.replace(/^(?:[A-Z]\w*\.)+(?=[A-Z]\w*\.)/, '')
