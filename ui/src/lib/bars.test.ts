import { describe, expect, it } from 'vitest'
import { bars, type Place } from './bars'
import type { Density } from './types'

const inks = { call: 1, message: 2, state: 3, error: 4 }
const place: Place = { left: 0, per: 2, top: 1, bottom: 9, scale: 1 }

function drawn(density: Partial<Density>, where: Partial<Place> = {}, width = 8): string[] {
  const data = new Uint32Array(width * 10)
  const full = {
    bucket_ns: 1,
    calls: [],
    messages: [],
    states: [],
    errors: [],
    ...density,
  }
  bars({ data, width, height: 10 }, full, { ...place, ...where }, inks)
  return Array.from({ length: 10 }, (_, row) => [...data.subarray(row * width, (row + 1) * width)].join(''))
}

describe('bars', () => {
  it('are there where one sort alone happened', () => {
    expect(drawn({ states: [0, 1] }).at(-2)).toBe('00330000')
  })

  it('stand on the ground, the tallest as high as its lane, parts over each other', () => {
    const rows = drawn({ calls: [4, 0, 1, 0], messages: [4, 0, 0, 0], states: [8, 0, 0, 0] })
    expect(rows).toEqual([
      '00000000',
      '33000000',
      '33000000',
      '33000000',
      '33000000',
      '22000000',
      '22000000',
      '11001100',
      '11001100',
      '00000000',
    ])
  })

  it('show a single event among thousands, and each part of what happened', () => {
    const rows = drawn({ calls: [90_000, 1, 0, 0], states: [0, 0, 0, 1], messages: [1, 0, 0, 0] })
    expect(rows.map((row) => row[2]).filter((one) => one === '1').length).toBeGreaterThanOrEqual(2)
    expect(rows.map((row) => row[6]).filter((one) => one === '3').length).toBeGreaterThanOrEqual(2)
    expect(rows.map((row) => row[0]).join('')).toContain('2')
  })

  it('let errors stand over everything, as tall as the lane', () => {
    const rows = drawn({ calls: [1, 5, 1, 1], errors: [0, 1, 0, 0] })
    expect(rows.map((row) => row.slice(2, 4))).toEqual(['00', ...Array<string>(8).fill('44'), '00'])
  })

  it('leave no pixel between buckets, and a gap only where there is room for one', () => {
    expect(drawn({ calls: [1, 1, 1, 1] }, { per: 1.7 }, 6)[8]).toBe('111111')
    expect(drawn({ calls: [1, 1, 1, 1] }, { per: 4 })[8]).toBe('11101110')
    expect(drawn({ calls: Array<number>(40).fill(1) }, { per: 0.2 })[8]).toBe('11111111')
  })

  it('write only what is in sight', () => {
    expect(drawn({ calls: [1, 1, 1, 1] }, { left: -3 })[8]).toBe('11111000')
    expect(drawn({ calls: [1, 1] }, { left: 7 })[8]).toBe('00000001')
    expect(drawn({ calls: [1, 1] }, { top: -5, bottom: 2 }).join('')).not.toContain('2')
    expect(drawn({ calls: [1, 1] }, { left: 80 }).join('')).toBe('0'.repeat(80))
  })
})
