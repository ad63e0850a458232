import type { QueryResult } from './types'

/** A chart chosen by the types of a result: names against amounts are bars, times a line, two amounts a scatter. */
export interface Chart {
  kind: 'bar' | 'line' | 'scatter'
  x: string
  y: string
  points: { x: number; y: number; label: string; row: number }[]
  left: number // amounts of x and y that the edges stand for
  right: number
  low: number
  high: number
}

const MOST_BARS = 60
const MOST_POINTS = 5000
const TIME = /^(at|.*_at|start|end|until)$/
const NUMBER = /INT|DOUBLE|FLOAT|DECIMAL|HUGE/i
/** Numbers that name something rather than measure it. */
const NAME =
  /^(event|call|message|state|process|parent|peer|previous|cause|version|line|arity)$|_id$|_event$|_process$/

export function chart(result: QueryResult): Chart | null {
  const { columns, types, rows } = result
  const all = columns.map((name, index) => ({ name, index, number: NUMBER.test(types[index] ?? '') }))
  const amounts = all.filter((column) => column.number && !NAME.test(column.name) && !TIME.test(column.name))
  const time = all.find((column) => column.number && TIME.test(column.name))
  const name = all.find((column) => !column.number) ?? all.find((column) => NAME.test(column.name))
  const y = amounts[amounts.length - 1]
  if (!y || rows.length === 0) return null
  const other = amounts.find((column) => column !== y)
  const number = (row: unknown[], index: number): number | null => {
    const cell = row[index]
    return typeof cell === 'number' && Number.isFinite(cell) ? cell : null
  }
  const kind = time
    ? 'line'
    : name && rows.length <= MOST_BARS
      ? 'bar'
      : other
        ? 'scatter'
        : name
          ? 'bar'
          : null
  if (kind === null) return null
  const x = kind === 'line' ? time : kind === 'scatter' ? other : name
  if (!x) return null
  const label = (row: unknown[]): string =>
    all
      .filter((column) => !column.number || column === x)
      .map((column) => String(row[column.index] ?? ''))
      .join(' ')
  const points = rows.slice(0, kind === 'bar' ? MOST_BARS : MOST_POINTS).flatMap((row, index) => {
    const height = number(row, y.index)
    const along = kind === 'bar' ? index : number(row, x.index)
    return height === null || along === null ? [] : [{ x: along, y: height, label: label(row), row: index }]
  })
  if (points.length === 0) return null
  if (kind === 'line') points.sort((a, b) => a.x - b.x)
  const ys = points.map((point) => point.y)
  const xs = points.map((point) => point.x)
  return {
    kind,
    x: x.name,
    y: y.name,
    points,
    left: kind === 'bar' ? 0 : Math.min(...xs),
    right: kind === 'bar' ? points.length : Math.max(...xs),
    low: Math.min(0, ...ys),
    high: Math.max(...ys, Math.min(0, ...ys) + 1e-9),
  }
}

/** The moments that the rows of a result name: by an event, else by a time and a process. */
export function moments(
  result: QueryResult,
): { at: number | null; process: number | null; event: number | null; row: number }[] {
  const at = (...names: string[]): number =>
    names.map((name) => result.columns.indexOf(name)).find((one) => one >= 0) ?? -1
  const event = at('event', 'state', 'call', 'message', 'send_event', 'exit_event')
  const time = at('at', 'start', 'sent_at', 'received_at')
  const process = at('process', 'from_process', 'to_process')
  const number = (cell: unknown): number | null => (typeof cell === 'number' ? cell : null)
  return result.rows.flatMap((row, index) => {
    const one = {
      at: number(row[time]),
      process: number(row[process]),
      event: number(row[event]),
      row: index,
    }
    return one.event === null && one.at === null ? [] : [one]
  })
}
