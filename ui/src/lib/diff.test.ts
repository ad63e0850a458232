import { describe, expect, it } from 'vitest'
import { around, describe as text, leadsTo, parts } from './diff'

describe('differences', () => {
  it('lie in a part or within it', () => {
    expect(leadsTo('.seats', '.seats["A1"]')).toBe(true)
    expect(leadsTo('.seats["A1"]', '.seats["A1"]')).toBe(true)
    expect(leadsTo('.seats', '.seatsmap')).toBe(false)
    expect(leadsTo('.seats["A1"]', '.seats')).toBe(false)
  })

  it('show the words that differ and keep all text', () => {
    const found = parts('%{a: 100, b: 2}', '%{a: 105, b: 2}')
    expect(found.before).toEqual([
      { same: true, text: '%{a: ' },
      { same: false, text: '100' },
      { same: true, text: ', b: 2}' },
    ])
    expect(found.after[1]).toEqual({ same: false, text: '105' })
    for (const [a, b] of [
      ['', 'x'],
      ['nil', '"ann"'],
      ['aaa', 'aa'],
      ['same', 'same'],
    ] as const) {
      const cut = parts(a, b)
      expect(cut.before.map((part) => part.text).join('')).toBe(a)
      expect(cut.after.map((part) => part.text).join('')).toBe(b)
    }
  })

  it('read as a sentence', () => {
    expect(text({ path: '.seats["A1"]', op: 'change', before: 'nil', after: '"bob"' })).toBe(
      '~ .seats["A1"]: nil → "bob"',
    )
    expect(text({ path: '', op: 'add', before: null, after: '1' })).toBe('+ the whole state: 1')
  })

  it('keep the current version among those shown', () => {
    expect(around(0, 3, 5)).toEqual([0, 1, 2])
    expect(around(18, 40, 5)).toEqual([16, 17, 18, 19, 20])
    expect(around(39, 40, 5)).toEqual([35, 36, 37, 38, 39])
  })
})
