import { describe, expect, test } from 'vitest'
import { pan, type Viewport, zoom } from './scale'
import { enough, levelOf, LONGEST, tileOf, weigh } from './tiles'

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

  test('are one for a level, wherever the hand zooms', () => {
    for (const around of [10_500_000, 13_000_000, 19_500_000]) {
      const widest = { from: 10_000_000, to: 10_000_000 + 2 ** 23 }
      const { low, high, width } = tileOf(widest, 1_000, DURATION)
      const tile = { ...data, from: low, to: high, detail: 'density' as const, grain: (high - low) / width }
      for (let view: Viewport = widest; levelOf(view) === 2 ** 23; view = zoom(view, 0.9, around, DURATION))
        expect(enough(tile, view, 1_000, DURATION)).toBe(true)
      const closer = zoom(widest, 0.48, around, DURATION)
      expect(enough(tile, closer, 1_000, DURATION)).toBe(false)
    }
  })

  const lane = { process: 1, marks: [], spans: [] }
  const data = {
    from: 0,
    to: 1,
    detail: 'spans' as const,
    lanes: [lane],
    messages: [],
    truncated: { spans: false, messages: false, marks: false },
    grain: 1,
  }

  test('are enough for the view that they were made for, and for those about the same', () => {
    const view = { from: 10_000_000, to: 14_000_000 }
    const { low, high, width } = tileOf(view, 1_000, DURATION)
    const density = { ...data, from: low, to: high, detail: 'density' as const, grain: (high - low) / width }
    for (const next of [view, pan(view, 0.2, DURATION), zoom(view, 0.9, 12_000_000, DURATION)])
      expect(enough(density, next, 1_000, DURATION)).toBe(true)
    for (const next of [
      pan(view, 1.5, DURATION),
      zoom(view, 4, 12_000_000, DURATION),
      zoom(view, 0.3, 12_000_000, DURATION),
    ])
      expect(enough(density, next, 1_000, DURATION)).toBe(false)
    // Spans are as exact in a closer view, as long as none was left out.
    const closer = zoom(view, 0.3, 12_000_000, DURATION)
    const spans = { ...density, detail: 'spans' as const }
    expect(enough(spans, closer, 1_000, DURATION)).toBe(true)
    expect(enough({ ...spans, truncated: { ...data.truncated, marks: true } }, closer, 1_000, DURATION)).toBe(
      false,
    )
  })

  test('are heavier with more in them', () => {
    const mark = { event: 1, at: 0, kind: 'exit', count: 1, calm: true }
    expect(weigh({ ...data, lanes: [{ ...lane, marks: [mark] }] })).toBeGreaterThan(weigh(data))
  })
})
