import { describe, expect, it } from 'vitest'
import { depths } from './flow'
import type { Hop } from './types'

const hop = (of: number | null): Hop => ({
  event: 0,
  at: 0,
  process: 0,
  kind: 'binding',
  label: '',
  value: null,
  certain: true,
  reason: null,
  of,
})

describe('the indents of a flow', () => {
  it('reads a chain as a chain', () => {
    expect(depths([hop(null), hop(0), hop(1), hop(2)])).toEqual([0, 0, 0, 0])
    expect(depths([hop(null), hop(null)])).toEqual([0, 0])
  })

  it('stands in where a value took several ways', () => {
    expect(depths([hop(null), hop(0), hop(0), hop(1), hop(2)])).toEqual([0, 1, 1, 1, 1])
  })

  it('stops somewhere', () => {
    const hops = [hop(null)]
    for (let at = 0; at < 60; at += 2) hops.push(hop(at), hop(at))
    expect(Math.max(...depths(hops))).toBe(10)
  })
})
