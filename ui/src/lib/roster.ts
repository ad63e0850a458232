/** Who has a lane, and in which order: groups, pins, hidden ones, an order of one's own. Pure. */

import { keep } from './story'
import type { Process } from './types'

export const GROUPINGS = ['tree', 'application', 'name'] as const
export type Grouping = (typeof GROUPINGS)[number]

export interface Group {
  key: string // empty: the lanes stand without a heading
  title: string
  processes: Process[]
  platform: boolean
}

const GENERIC = /^(Supervisor|DynamicSupervisor|PartitionSupervisor|Task|Agent|GenServer|Registry)$/
const PLATFORM = /^(Erlang\/OTP|Elixir|ExUnit|Mix|Logger|IEx|Hex|EEx)$/
export const OTP = 'Erlang/OTP'

/** The namespace that a process's own names show: `TicketOffice`, `Logger`, `Erlang/OTP`; null when they say nothing. */
function namespace(process: Process): string | null {
  if (process.depth === 0 && process.label === 'main') return OTP
  for (const text of [process.module, process.name, process.initial]) {
    const found = /(?:^|[ (])(?::(\w+)|([A-Z]\w*))/.exec((text ?? '').replace(/^Elixir\./, ''))
    if (found?.[2] && !GENERIC.test(found[2])) return found[2]
    if (found?.[1]) return OTP
  }
  return null
}

/** The application of each process, in tree order: its own namespace, else that of the process above it. */
export function applications(processes: Process[]): Map<number, string> {
  const above: { depth: number; name: string }[] = []
  const found = new Map<number, string>()
  for (const process of processes) {
    while (above.length > 0 && (above[above.length - 1]?.depth ?? 0) >= process.depth) above.pop()
    const name = namespace(process) ?? above[above.length - 1]?.name ?? OTP
    found.set(process.process, name)
    above.push({ depth: process.depth, name })
  }
  return found
}

/** The machinery below the application: what belongs to the platform and has no recorded code of its own. */
export function platform(processes: Process[], coded: ReadonlySet<number>): Set<number> {
  const names = applications(processes)
  const is = (one: Process): boolean =>
    !coded.has(one.process) && one.kind !== 'test' && PLATFORM.test(names.get(one.process) ?? '')
  return new Set(processes.filter(is).map((one) => one.process))
}

/** `Seats` for `Seats 12`. */
export const family = (label: string): string => label.replace(/ \d+$/, '')

export interface Wishes {
  grouping: Grouping
  pinned: readonly number[]
  hidden: ReadonlySet<number>
  order: readonly number[] // processes that somebody put in an order of their own
  search: string
}

/** Lanes by group. `processes` are in tree order; pinned ones come first, the platform last. */
export function roster(processes: Process[], coded: ReadonlySet<number>, wishes: Wishes): Group[] {
  const wanted = wishes.search.trim().toLowerCase()
  const shown = processes.filter(
    (one) =>
      !wishes.hidden.has(one.process) &&
      (wanted === '' || `${one.label} ${one.pid} ${one.module ?? ''}`.toLowerCase().includes(wanted)),
  )
  const byId = new Map(shown.map((one) => [one.process, one]))
  const pinned = wishes.pinned.flatMap((number) => byId.get(number) ?? [])
  const rest = shown.filter((one) => !wishes.pinned.includes(one.process))
  const machinery = platform(processes, coded)
  const own = rest.filter((one) => !machinery.has(one.process))
  const groups: Group[] = []
  if (pinned.length > 0) groups.push(group('pinned', 'Pinned', flat(pinned)))
  const sorted = (list: Process[]): Process[] => arrange(processes, list, wishes.order)
  if (wishes.grouping === 'tree') {
    if (own.length > 0) groups.push(group('', '', sorted(own)))
  } else {
    const names = applications(processes)
    const nameOf = (one: Process): string =>
      wishes.grouping === 'application' ? (names.get(one.process) ?? OTP) : family(one.label)
    const sorts = new Map<string, Process[]>()
    for (const one of own) {
      const name = nameOf(one)
      const alike = sorts.get(name)
      if (alike) alike.push(one)
      else sorts.set(name, [one])
    }
    const entries = [...sorts]
    if (wishes.grouping === 'name') entries.sort(([a], [b]) => a.localeCompare(b))
    for (const [name, list] of entries) {
      const alone = wishes.grouping === 'name' && list.length === 1
      groups.push(group(alone ? '' : name, alone ? '' : name, sorted(list)))
    }
  }
  const below = rest.filter((one) => machinery.has(one.process))
  if (below.length > 0) groups.push({ ...group('platform', 'Platform', sorted(below)), platform: true })
  return groups
}

const group = (key: string, title: string, processes: Process[]): Group => ({
  key,
  title,
  processes,
  platform: false,
})

const flat = (list: Process[]): Process[] => list.map((one) => ({ ...one, depth: 0 }))

/** Tree order and depth; flat, and in the order somebody wants, when they want one. */
function arrange(all: Process[], list: Process[], order: readonly number[]): Process[] {
  const rank = new Map(order.map((number, index) => [number, index]))
  if (!list.some((one) => rank.has(one.process))) {
    return keep(all, new Set(list.map((one) => one.process)))
  }
  const place = (one: Process, index: number): number => rank.get(one.process) ?? order.length + index
  return flat(
    list
      .map((one, index) => ({ one, at: place(one, index) }))
      .sort((a, b) => a.at - b.at)
      .map(({ one }) => one),
  )
}

/** The order after moving a process up or down by one among `shown`, the lanes as they stand. */
export function moved(shown: readonly number[], process: number, by: 1 | -1): number[] {
  const index = shown.indexOf(process)
  const to = index + by
  if (index < 0 || to < 0 || to >= shown.length) return [...shown]
  const next = shown.filter((one) => one !== process)
  next.splice(to, 0, process)
  return next
}

/** When who lives changes: the first instants of lives, and those just after them; ascending. */
export const turns = (processes: Process[]): number[] =>
  [...new Set(processes.flatMap(({ start, end }) => (end === null ? [start] : [start, end + 1])))].sort(
    (a, b) => a - b,
  )

/** The last of these ascending times that is not after `at`; −1 before the first. */
export function latest(times: number[], at: number): number {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] ?? Infinity) <= at) low = middle + 1
    else high = middle
  }
  return times[low - 1] ?? -1
}
