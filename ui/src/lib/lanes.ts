import type { Lane, Mark, Process, Span } from './types'
import { toX, type Viewport } from './scale'

/** Lane layout: which process is drawn where, and what is under the pointer. */

export interface LaneBox {
  process: Process
  top: number
  height: number
  row: number // px of one row
  pad: number // px above and below the rows
  rows: number // rows of spans; deeper frames share the last
  hasChildren: boolean
  collapsed: boolean
}

export const ROW = 13 // px; at most TALL when there is room
const TALL = 22
export const PAD = 6 // px; at most AIRY when there is room
const AIRY = 60
const MAX_ROWS = 8

/** Processes in tree order without those below a collapsed one. */
export function visible(processes: Process[], collapsed: ReadonlySet<number>): Process[] {
  const shown: Process[] = []
  let hiddenBelow = Infinity
  for (const process of processes) {
    if (process.depth > hiddenBelow) continue
    hiddenBelow = collapsed.has(process.process) ? process.depth : Infinity
    shown.push(process)
  }
  return shown
}

/** Whether the next process in tree order sits below this one. */
export function parents(processes: Process[]): Set<number> {
  const found = new Set<number>()
  processes.forEach((process, index) => {
    const next = processes[index + 1]
    if (next && next.depth > process.depth) found.add(process.process)
  })
  return found
}

/** The heading of a group of lanes. */
export interface Head {
  key: string
  title: string
  count: number
  top: number
  folded: boolean
}

export const HEAD = 22

interface Section {
  key: string
  title: string
  folded: boolean
  processes: Process[]
}

export interface Layout {
  boxes: LaneBox[]
  heads: Head[]
  tall: number
}

/**
 * Rows that let all lanes fit into `height` when they can; expanded lanes show their whole depth. Lanes that are few
 * stand farther apart rather than leave the rest empty.
 * `always` has its lane also in a group that is folded.
 */
export function layout(
  sections: Section[],
  collapsed: ReadonlySet<number>,
  expanded: ReadonlySet<number>,
  deepest: ReadonlyMap<number, number>,
  height: number,
  always: number | null = null,
): Layout {
  const open = sections.map((section) => ({
    section,
    shown: section.folded
      ? section.processes.filter((one) => one.process === always)
      : visible(section.processes, collapsed),
    groups: parents(section.processes),
  }))
  const count = open.reduce((sum, { shown }) => sum + shown.length, 0)
  const room = height - HEAD * sections.filter((one) => one.key !== '').length
  const fair = Math.floor((room / Math.max(count, 1) - PAD * 2) / ROW)
  const cap = Math.min(Math.max(fair, 1), 6)
  const rowsOf = (process: Process): number =>
    Math.min(
      (deepest.get(process.process) ?? 0) + 1,
      expanded.has(process.process) ? Math.max(MAX_ROWS, cap) : cap,
    )
  const all = open.reduce((sum, { shown }) => sum + shown.reduce((rows, one) => rows + rowsOf(one), 0), 0)
  const roomy = Math.floor((room - count * PAD * 2) / Math.max(all, 1))
  const row = Math.min(TALL, Math.max(ROW, roomy))
  const spare = Math.floor((room - all * row) / Math.max(count, 1) / 2)
  const pad = Math.min(AIRY, Math.max(PAD, spare))
  const found: Layout = { boxes: [], heads: [], tall: 0 }
  for (const { section, shown, groups } of open) {
    if (section.key !== '') {
      const { key, title, folded } = section
      found.heads.push({ key, title, folded, count: section.processes.length, top: found.tall })
      found.tall += HEAD
    }
    for (const process of shown) {
      const rows = rowsOf(process)
      const box = {
        process,
        top: found.tall,
        row,
        rows,
        pad,
        height: rows * row + pad * 2,
        hasChildren: groups.has(process.process),
        collapsed: collapsed.has(process.process),
      }
      found.boxes.push(box)
      found.tall += box.height
    }
  }
  return found
}

export const laneAt = (boxes: LaneBox[], y: number): LaneBox | null =>
  boxes.find((box) => y >= box.top && y < box.top + box.height) ?? null

/** Where a span of this depth lies in its lane. */
export function spanTop(box: LaneBox, depth: number): number {
  return box.top + box.pad + Math.min(depth, box.rows - 1) * box.row
}

export type Hit = { kind: 'span'; span: Span } | { kind: 'mark'; mark: Mark } | { kind: 'lane' }

/** What is at (x, y): a mark within reach, else the deepest span, else the bare lane. */
export function hit(
  box: LaneBox,
  lane: Lane | undefined,
  view: Viewport,
  width: number,
  x: number,
  y: number,
): Hit {
  let best: { mark: Mark; far: number } | null = null
  for (const mark of lane?.marks ?? []) {
    const far = Math.abs(toX(view, width, mark.at) - x)
    if (far <= 6 && (!best || far < best.far)) best = { mark, far }
  }
  if (best) return { kind: 'mark', mark: best.mark }
  const row = Math.floor((y - box.top - box.pad) / box.row)
  let found: Span | null = null
  for (const span of lane?.spans ?? []) {
    const left = toX(view, width, span.start)
    const right = Math.max(left + 2, toX(view, width, span.end ?? Infinity))
    if (x < left - 1 || x > right + 1) continue
    const at = Math.min(span.depth, box.rows - 1)
    if (at === row && (!found || span.depth >= found.depth)) found = span
  }
  return found ? { kind: 'span', span: found } : { kind: 'lane' }
}
