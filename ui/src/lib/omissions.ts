import { shortText } from './names'
import { toX, type Viewport } from './scale'
import { count, duration, group } from './time'
import type { Omission } from './types'

/** Where less was recorded than the plan says, as bands on the timeline. Pure. */

export interface Band {
  left: number // px
  width: number
  from: number // ns
  to: number
  text: string // what stands in it when there is room
  about: string // the whole sentence
  kind: Omission['kind'] | 'end'
  process: number | null
}

const LEAST = 6 // px: a band can be seen and pointed at
const APART = 3 // px: narrow ones that are nearer are one band, and so are those that overlap by more
const NARROW = 24 // px

const LEVELS: Record<string, string> = {
  calls: 'calls without values',
  messages: 'messages only',
  lifecycle: 'lives only',
}

export function words(one: Omission): string {
  if (one.kind === 'loss') return `${group(one.count ?? 0)} lost`
  if (one.kind === 'limit') return 'memory full'
  if (one.kind === 'step') return LEVELS[one.level ?? ''] ?? 'less recorded'
  return `${shortText(one.function ?? '')} ×${group(one.count ?? 0)} counted`
}

const during = ({ at, until }: Omission): string =>
  at === null
    ? 'at a time that nobody knows'
    : until === null
      ? `from ${duration(at)} to the end`
      : at === until
        ? `at ${duration(at)}`
        : `from ${duration(at)} to ${duration(until)}`

/** What was not recorded, when and why, as a sentence. */
export function sentence(one: Omission): string {
  const what =
    one.kind === 'loss'
      ? `${count(one.count ?? 0, 'event')}${one.label === null ? '' : ` of ${one.label}`} lost`
      : one.kind === 'calls'
        ? `${one.function ?? one.subject} was called ${count(one.count ?? 0, 'time')} without being recorded`
        : `No ${one.subject}`
  return `${what}, ${during(one)}: ${one.reason}`
}

/** Spans of known time as bands, left to right; those that could not be told apart are one, which says what it stands for. */
export function bands(all: Omission[], view: Viewport, width: number, end: number): Band[] {
  const found: (Band & { of: Omission[] })[] = []
  const timed = all
    .flatMap((one) =>
      one.at === null ? [] : [{ one, from: one.at, to: Math.max(one.until ?? end, one.at) }],
    )
    .filter(({ from, to }) => to >= view.from && from <= view.to)
    .sort((a, b) => a.from - b.from)
  for (const { one, from, to } of timed) {
    const left = Math.max(-LEAST, toX(view, width, from))
    const right = Math.min(width + LEAST, Math.max(toX(view, width, to), left + LEAST))
    const last = found.at(-1)
    const gap = last ? left - last.left - last.width : Infinity
    const narrow = last && Math.min(last.width, right - left) < NARROW
    if (last && (gap < -APART || (narrow && gap < APART))) {
      last.width = Math.max(last.left + last.width, right) - last.left
      last.to = Math.max(last.to, to)
      last.of.push(one)
    } else {
      const { kind, process } = one
      found.push({ left, width: right - left, from, to, text: '', about: '', kind, process, of: [one] })
    }
  }
  return found.map(({ of, ...band }) => ({ ...band, ...told(of) }))
}

function told(of: Omission[]): { text: string; about: string } {
  const [first] = of
  if (of.length === 1 && first) return { text: words(first), about: sentence(first) }
  const lost = of.reduce((sum, one) => sum + (one.kind === 'loss' ? (one.count ?? 0) : 0), 0)
  const texts = [...new Set(of.filter((one) => one.kind !== 'loss').map(words))]
  if (lost > 0) texts.unshift(`${group(lost)} lost`)
  const more = of.length > 4 ? `\nand ${of.length - 4} more: zoom in` : ''
  return {
    text: texts.slice(0, 2).join(' · ') + (texts.length > 2 ? ' …' : ''),
    about: of.slice(0, 4).map(sentence).join('\n') + more,
  }
}

/** Losses of a process whose time is known stand in its lane; all else concerns every lane, or code rather than a process. */
export const inLane = (one: Omission): boolean =>
  one.kind === 'loss' && one.process !== null && one.at !== null

/** Processes that lost events at a time that nobody knows: their whole life is doubtful. */
export function doubtful(processes: { process: number; lost: number }[], all: Omission[]): Set<number> {
  const timed = new Map<number, number>()
  for (const one of all.filter(inLane)) {
    timed.set(one.process ?? -1, (timed.get(one.process ?? -1) ?? 0) + (one.count ?? 0))
  }
  return new Set(
    processes.filter((one) => one.lost > (timed.get(one.process) ?? 0)).map((one) => one.process),
  )
}
