import { expect, test } from 'vitest'
import { Lru } from './lru'

test('keeps what was used last, within its weight', () => {
  const kept = new Lru<string>(10)
  kept.set('a', 'A', 4)
  kept.set('b', 'B', 4)
  expect(kept.get('a')).toBe('A')
  kept.set('c', 'C', 4)
  expect([kept.has('a'), kept.has('b'), kept.has('c')]).toEqual([true, false, true])
  expect(kept.weight).toBe(8)
})

test('replaces a value and its weight, and keeps nothing too heavy', () => {
  const kept = new Lru<string>(10)
  kept.set('a', 'A', 4)
  kept.set('a', 'AA', 6)
  expect([kept.get('a'), kept.weight]).toEqual(['AA', 6])
  kept.set('b', 'B', 11)
  expect([kept.get('b'), kept.get('a'), kept.weight]).toEqual([undefined, 'AA', 6])
})

test('finds the one used last of those that fit, which then stays longer', () => {
  const kept = new Lru<number>(3)
  for (const [key, value] of [
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ] as const)
    kept.set(key, value, 1)
  expect(kept.find((value, key) => value < 3 && key !== 'b')).toBe(1)
  expect(kept.find((value) => value > 1)).toBe(3)
  expect(kept.find((value) => value > 3)).toBeUndefined()
  kept.set('d', 4, 1)
  expect(['a', 'b', 'c', 'd'].filter((key) => kept.has(key))).toEqual(['a', 'c', 'd'])
})
