import { describe, expect, it } from 'vitest'
import { crumbs, LEVELS, lifetime, nearest } from './levels'
import type { Process, StackFrame } from './types'

const frame = { module: 'Elixir.Shop.Seats', function: 'put', arity: 3 } as StackFrame
const whole = {
  system: 'shop.scope',
  application: 'Shop',
  process: 'Seats 8',
  frame,
  line: { file: 'lib/shop/seats.ex', line: 35 },
  value: { name: 'seat', text: '"B1"' },
}
const between = { ...whole, frame: null, line: null, value: null }

describe('the levels of a moment', () => {
  it('are all there within a call', () => {
    const all = crumbs(whole)
    expect(all.map((one) => one.level)).toEqual(LEVELS)
    expect(all.map((one) => one.label)).toEqual([
      'shop.scope',
      'Shop',
      'Seats 8',
      'Seats.put/3',
      'seats.ex:35',
      'seat = "B1"',
    ])
  })

  it('say what is missing between calls', () => {
    const all = crumbs(between)
    expect(all.map((one) => one.label === null)).toEqual([false, false, false, true, true, true])
    expect(all[3]?.about).toMatch(/No recorded call/)
  })

  it('are walked past those that are missing', () => {
    expect(nearest(crumbs(whole), 'process', 1)).toBe('function')
    expect(nearest(crumbs(between), 'process', 1)).toBeNull()
    expect(nearest(crumbs(between), 'value', -1)).toBe('process')
    expect(nearest(crumbs(whole), 'system', -1)).toBeNull()
  })
})

describe('a lifetime', () => {
  const process = (start: number, end: number | null): Process => ({ start, end }) as Process
  it('spans all processes, to the end for those that live on', () => {
    expect(lifetime([process(5, 9), process(3, 4)], 100)).toEqual([3, 9])
    expect(lifetime([process(5, null)], 100)).toEqual([5, 100])
    expect(lifetime([], 100)).toBeNull()
  })
})
