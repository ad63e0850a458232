import { describe, expect, it } from 'vitest'
import { clamp, fit, MIN_SPAN, pan, reveal, ticks, toTime, toX, zoom } from './scale'

const view = { from: 1000, to: 3000 }

describe('the time axis', () => {
  it('maps times to pixels and back', () => {
    for (const at of [1000, 1234, 2999]) expect(toTime(view, 800, toX(view, 800, at))).toBeCloseTo(at, 6)
    expect(toX(view, 800, 2000)).toBe(400)
  })

  it('keeps the time under the pointer while zooming', () => {
    const closer = zoom(view, 0.5, 1500, 1e6)
    expect(toX(closer, 800, 1500)).toBeCloseTo(toX(view, 800, 1500), 6)
    expect(closer.to - closer.from).toBe(1000)
  })

  it('never leaves the recording nor goes below the least span', () => {
    const duration = 10_000
    let now = fit(duration)
    for (let step = 0; step < 60; step += 1) now = zoom(now, 0.7, 5000, duration)
    expect(now.to - now.from).toBeCloseTo(MIN_SPAN, 6)
    for (let step = 0; step < 90; step += 1) now = zoom(now, 1.5, 9000, duration)
    expect(now.from).toBeCloseTo(fit(duration).from, 6)
    expect(now.to).toBeCloseTo(fit(duration).to, 6)
    expect(pan({ from: 0, to: 100 }, -5, duration).from).toBeCloseTo(fit(duration).from, 6)
    expect(clamp({ from: -1e9, to: 1e9 }, duration)).toEqual(fit(duration))
  })

  it('moves only when the moment would be out of sight', () => {
    expect(reveal(view, 2000, 1e6)).toBe(view)
    for (const at of [3500, 900, 500_000]) {
      const moved = reveal(view, at, 1e6)
      expect(moved.from).toBeLessThan(at)
      expect(moved.to).toBeGreaterThan(at)
      expect(moved.to - moved.from).toBeCloseTo(2000, 6)
    }
  })

  it('ticks at round times, never closer than the gap', () => {
    const found = ticks({ from: -10, to: 100_000_000 }, 800, 100)
    expect(found.step).toBe(20_000_000)
    expect(found.ticks[0]).toBe(0)
    expect(found.ticks).toHaveLength(6)
    expect(ticks({ from: 0, to: 20 }, 2000).step).toBeGreaterThanOrEqual(1)
  })
})
