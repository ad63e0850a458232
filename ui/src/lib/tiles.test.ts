import { describe, expect, test } from 'vitest'
import { pan, zoom } from './scale'
import { LONGEST, tileOf, weigh } from './tiles'

const DURATION = 50_000_000

describe('tiles', () => {
  test('cover the view with room on both sides, within the recording', () => {
    let seed = 7
    const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    for (let turn = 0; turn < 500; turn += 1) {
      const span = 20 + random() ** 6 * DURATION
      const from = random() * (DURATION - span)
      const { low, high } = tileOf({ from, to: from + span }, 1_000, DURATION)
      expect(low).toBeGreaterThanOrEqual(0)
      expect(high).toBeLessThanOrEqual(DURATION)
      expect(low === 0 || low <= from - span / 4).toBe(true)
      expect(high === DURATION || high >= from + span * 1.25).toBe(true)
      expect((high - low) / span).toBeLessThanOrEqual(LONGEST)
    }
  })

  test('are few while one zooms in and out and pans to and fro', () => {
    const asked = new Set<string>()
    let view = { from: 10_000_000, to: 20_000_000 }
    for (let turn = 0; turn < 200; turn += 1) {
      view = zoom(view, turn % 2 === 0 ? 0.8 : 1.25, 13_000_000, DURATION)
      view = pan(view, turn % 4 < 2 ? 0.02 : -0.02, DURATION)
      asked.add(JSON.stringify(tileOf(view, 1_000, DURATION)))
    }
    expect(asked.size).toBeLessThanOrEqual(8)
  })

  test('are heavier with more in them', () => {
    const lane = { process: 1, marks: [], spans: [] }
    const data = {
      from: 0,
      to: 1,
      detail: 'spans' as const,
      lanes: [lane],
      messages: [],
      truncated: { spans: false, messages: false, marks: false },
    }
    const mark = { event: 1, at: 0, kind: 'exit', count: 1, calm: true }
    expect(weigh({ ...data, lanes: [{ ...lane, marks: [mark] }] })).toBeGreaterThan(weigh(data))
  })
})
