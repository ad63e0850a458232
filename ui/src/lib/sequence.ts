import type { Message } from './types'

/**
 * The space-time diagram of messages: a column per process, time downwards. `order` gives every instant a row of
 * its own, so that what lies nanoseconds apart can be read; `time` is true to scale.
 */
export type Scale = 'order' | 'time'

/** Whoever has no number: the outside of the recording. */
export const OUTSIDE = -1

export interface Arrow {
  message: Message
  from: number // column
  to: number
  sent: number // px from the top
  received: number
  handled: number | null
}

export interface Sequence {
  columns: number[] // processes, OUTSIDE last
  arrows: Arrow[]
  height: number
  instants: { at: number; y: number }[] // in order of time
}

const ROW = 15
const TOP = 14

const party = (process: number | null): number => process ?? OUTSIDE

/** Everybody who takes part, the most talkative first. */
export function parties(messages: Message[]): number[] {
  const count = new Map<number, number>()
  for (const { from, to } of messages) {
    for (const one of [party(from), party(to)]) count.set(one, (count.get(one) ?? 0) + 1)
  }
  return [...count].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([process]) => process)
}

const start = (one: Message): number => one.sent_at ?? one.received_at ?? 0
const end = (one: Message): number => Math.max(start(one), one.received_at ?? start(one))

/** The messages among `chosen`, laid out. Columns keep the order in which processes first take part. */
export function sequence(
  messages: Message[],
  chosen: ReadonlySet<number>,
  scale: Scale = 'order',
  room = 480,
): Sequence {
  const shown = messages
    .filter((one) => chosen.has(party(one.from)) && chosen.has(party(one.to)))
    .sort((a, b) => start(a) - start(b) || a.message - b.message)
  const columns: number[] = []
  for (const one of shown) {
    for (const process of [party(one.from), party(one.to)]) {
      if (!columns.includes(process)) columns.push(process)
    }
  }
  columns.sort((a, b) => Number(a === OUTSIDE) - Number(b === OUTSIDE))

  const times = new Set<number>()
  for (const one of shown) {
    times.add(start(one)).add(end(one))
    if (one.handled_at !== null) times.add(one.handled_at)
  }
  const sorted = [...times].sort((a, b) => a - b)
  const first = sorted[0] ?? 0
  const span = Math.max(1, (sorted[sorted.length - 1] ?? 0) - first)
  const tall = Math.max(room - 2 * TOP, 120)
  const instants = sorted.map((at, index) => ({
    at,
    y: TOP + (scale === 'order' ? index * ROW : ((at - first) / span) * tall),
  }))
  const y = new Map(instants.map((one) => [one.at, one.y]))
  return {
    columns,
    instants,
    height: (instants[instants.length - 1]?.y ?? 0) + 2 * TOP,
    arrows: shown.map((message) => ({
      message,
      from: columns.indexOf(party(message.from)),
      to: columns.indexOf(party(message.to)),
      sent: y.get(start(message)) ?? TOP,
      received: y.get(end(message)) ?? TOP,
      handled: message.handled_at === null ? null : (y.get(message.handled_at) ?? null),
    })),
  }
}

/** Where a time lies in the diagram: between its neighbours, outside of all of them null. */
export function position(instants: { at: number; y: number }[], at: number): number | null {
  const first = instants[0]
  const last = instants[instants.length - 1]
  if (!first || !last || at < first.at) return null
  const after = instants.findIndex((one) => one.at > at)
  if (after === -1) return last.y
  const [a, b] = [instants[after - 1] ?? first, instants[after] ?? last]
  return a.y + ((at - a.at) / (b.at - a.at)) * (b.y - a.y)
}
