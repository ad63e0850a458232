import type { Hop } from './types'

const DEEPEST = 10 // further in, all stands below each other: what is read is the chain, not the indent

/**
 * How far each hop of a tree stands in: one step where the value took several ways at once, none along a single way
 * (as a chain reads). Backwards a flow is a chain: nothing stands in.
 */
export function depths(hops: Hop[]): number[] {
  const ways = new Map<number, number>()
  for (const { of } of hops) if (typeof of === 'number') ways.set(of, (ways.get(of) ?? 0) + 1)
  const found: number[] = []
  for (const { of } of hops) {
    const above = typeof of === 'number' ? (found[of] ?? 0) : 0
    found.push(Math.min(DEEPEST, above + (typeof of === 'number' && (ways.get(of) ?? 0) > 1 ? 1 : 0)))
  }
  return found
}
