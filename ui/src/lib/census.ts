import type { Census, Process } from './types'

/** The processes there are, by those that were known and what was told since: the same list when nothing changed. */
export function counted(known: Process[], told: Census): Process[] {
  const { order, processes } = told
  if (!order) return processes
  if (
    processes.length === 0 &&
    order.length === known.length &&
    order.every((one, at) => known[at]?.process === one)
  )
    return known
  const all = new Map([...known, ...processes].map((process) => [process.process, process]))
  return order.flatMap((one) => all.get(one) ?? [])
}
