import type { Print } from './types'

/** How often each value was printed, the most frequent first; failures by their reason. */
export function tally(prints: readonly Print[]): { text: string; count: number; failed: boolean }[] {
  const found = new Map<string, { text: string; count: number; failed: boolean }>()
  for (const { value, error } of prints) {
    const text = value?.text ?? error ?? ''
    const key = `${value === null} ${text}`
    const known = found.get(key)
    if (known) known.count += 1
    else found.set(key, { text, count: 1, failed: value === null })
  }
  return [...found.values()].sort((a, b) => b.count - a.count)
}
