import { describe, expect, it } from 'vitest'
import { formatAddress, formatMoment, parseAddress, parseMoment } from './moment'

const moment = { at: 44218317, process: 12, event: null, call: null }

describe('moments', () => {
  it('are named by their event when they have one', () => {
    expect(formatMoment({ ...moment, event: 18204 })).toBe('e18204')
    expect(formatMoment({ ...moment, event: 18204, call: 18100 })).toBe('e18204.c18100')
    expect(formatMoment(moment)).toBe('44218317ns@12')
    expect(formatMoment({ ...moment, process: null })).toBe('44218317ns')
  })

  it('come back from their names', () => {
    for (const one of [moment, { ...moment, process: null }, { ...moment, at: 0 }]) {
      expect(parseMoment(formatMoment(one))).toEqual(one)
    }
    expect(parseMoment('e18204.c7')).toEqual({ at: null, process: null, event: 18204, call: 7 })
    expect(parseMoment('t44218317@12')).toEqual(moment)
  })

  it('refuse what names none', () => {
    for (const text of ['', 'e', 'seats', '-4ns', '12ns@', 'e1x', '<script>', '9'.repeat(30)]) {
      expect(parseMoment(text)).toBeNull()
    }
  })
})

const nothing = { moment: null, view: null, beside: null, window: null, zoom: null }

describe('addresses', () => {
  it('hold the moment, the panels in front, the window and the stretch in view', () => {
    const hash = formatAddress({
      moment,
      view: 'calls',
      beside: 'why',
      window: [10.2, 2000],
      zoom: [-5, 900],
    })
    expect(hash).toBe('#/44218317ns@12?view=calls&beside=why&window=10-2000&zoom=0-900')
    expect(parseAddress(hash)).toEqual({
      moment,
      view: 'calls',
      beside: 'why',
      window: [10, 2000],
      zoom: [0, 900],
    })
    expect(formatAddress({ ...nothing, moment })).toBe('#/44218317ns@12')
  })

  it('survive nonsense', () => {
    expect(parseAddress('#/what?window=9-3&zoom=x')).toEqual(nothing)
    expect(parseAddress('')).toEqual(nothing)
  })
})
