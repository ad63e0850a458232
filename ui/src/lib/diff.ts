import type { Change } from './types'

/** Differences as people read them. */

export interface Part {
  same: boolean
  text: string
}

/** The parts of `before` and `after` that differ: what they begin and end with alike is the same. */
export function parts(before: string, after: string): { before: Part[]; after: Part[] } {
  const least = Math.min(before.length, after.length)
  let head = 0
  while (head < least && before[head] === after[head]) head += 1
  let tail = 0
  while (tail < least - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1
  // Do not cut through the middle of a word or number.
  while (head > 0 && /\w/.test(before[head - 1] ?? '') && /\w/.test(before[head] ?? after[head] ?? ''))
    head -= 1
  while (tail > 0 && /\w/.test(before[before.length - tail] ?? '')) tail -= 1
  const cut = (text: string): Part[] =>
    [
      { same: true, text: text.slice(0, head) },
      { same: false, text: text.slice(head, text.length - tail) },
      { same: true, text: text.slice(text.length - tail) },
    ].filter((part) => part.text !== '')
  return { before: cut(before), after: cut(after) }
}

/** `+ path: after`, `− path: before`, `~ path: before → after`, for copying and for screen readers. */
export function describe(change: Change): string {
  const path = change.path || 'the whole state'
  if (change.op === 'add') return `+ ${path}: ${change.after ?? ''}`
  if (change.op === 'remove') return `− ${path}: ${change.before ?? ''}`
  return `~ ${path}: ${change.before ?? ''} → ${change.after ?? ''}`
}

/** Whether a place in a value is `to`, or holds it: `.seats` leads to `.seats["A1"]`, and not to `.seatsmap`. */
export const leadsTo = (where: string, to: string): boolean =>
  to.startsWith(where) && (to.length === where.length || '.['.includes(to[where.length]!))

/** The numbers of versions around the current one, at most `room` of them. */
export function around(current: number, total: number, room: number): number[] {
  const first = Math.max(0, Math.min(current - Math.floor(room / 2), total - room))
  return Array.from({ length: Math.min(room, total) }, (_, index) => first + index)
}
