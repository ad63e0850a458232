/** Fuzzy matching for the palette: letters in order; starts of words and runs count more. */

/** Higher is better, null when `text` does not hold the letters of `wanted` in order. */
export function score(wanted: string, text: string): number | null {
  const query = wanted.toLowerCase().replace(/\s+/g, '')
  const lower = text.toLowerCase()
  let at = 0
  let total = 0
  let run = 0
  for (const letter of query) {
    const found = lower.indexOf(letter, at)
    if (found === -1) return null
    run = found === at && at > 0 ? run + 1 : 0
    const starts = found === 0 || /[\s._/:-]/.test(lower[found - 1] ?? '')
    total += 1 + run * 2 + (starts ? 3 : 0) - Math.min(2, (found - at) * 0.1)
    at = found + 1
  }
  return total - text.length * 0.01
}

export function best<T>(wanted: string, items: T[], text: (item: T) => string, limit = 12): T[] {
  if (wanted.trim() === '') return items.slice(0, limit)
  return items
    .map((item) => ({ item, points: score(wanted, text(item)) }))
    .filter((entry): entry is { item: T; points: number } => entry.points !== null)
    .sort((a, b) => b.points - a.points)
    .slice(0, limit)
    .map((entry) => entry.item)
}
