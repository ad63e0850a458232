import { describe, expect, it } from 'vitest'
import { testBars } from './testbars'
import type { Test } from './types'

const test = (name: string, start: number, end: number | null, result: string | null = 'passed'): Test => ({
  event: start,
  module: 'ShopTest',
  name,
  file: null,
  line: null,
  start,
  end,
  result,
  process: 1,
  call: null,
  text: null,
})
const VIEW = { from: 0, to: 1000 }

describe('tests along the ruler', () => {
  it('are bars from their start to their end, within what is in view', () => {
    const found = testBars(
      [test('a', -50, 100), test('b', 200, 300, 'failed'), test('c', 900, null, null)],
      VIEW,
      1000,
    )
    expect(found.map(({ left, width, failed }) => [left, width, failed])).toEqual([
      [0, 100, false],
      [900, 100, false],
      [200, 100, true],
    ])
    expect(found.map((bar) => bar.title)).toEqual([
      'a · passed · 150 ns',
      'c · not finished',
      'b · failed · 100 ns',
    ])
  })

  it('are one bar where they cannot be told apart, which leads to the one that failed', () => {
    const all = [test('a', 500, 501), test('b', 501, 502, 'failed'), test('c', 502, 503), test('d', 800, 801)]
    const found = testBars(all, VIEW, 500)
    expect(found.map((bar) => [bar.test.name, bar.failed])).toEqual([
      ['d', false],
      ['b', true],
    ])
    expect(found[1]!.title).toBe('3 tests, 1 failed: b')
  })

  it('are left out where they are not in view, and can always be pointed at', () => {
    expect(testBars([test('a', 0, 1), test('b', 5000, 5001)], { from: 100, to: 200 }, 500)).toEqual([])
    expect(testBars([test('a', 10, 11)], VIEW, 100)[0]!.width).toBe(3)
  })
})
