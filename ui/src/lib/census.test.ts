import { describe, expect, it } from 'vitest'
import { counted } from './census'
import type { Process } from './types'

const one = (process: number, events = 0) => ({ process, events }) as Process

describe('counted', () => {
  const known = [one(0), one(1), one(2)]

  it('takes all when all are told', () => {
    expect(counted(known, { processes: [one(5)], total: 4, more: 0 })).toEqual([one(5)])
  })

  it('puts what is new where it belongs, and keeps the others as they are', () => {
    const now = counted(known, { processes: [one(3), one(1, 7)], order: [0, 3, 1, 2], total: 4, more: 0 })
    expect(now).toEqual([one(0), one(3), one(1, 7), one(2)])
    expect(now[0]).toBe(known[0])
    expect(now[3]).toBe(known[2])
  })

  it('is the same list when nothing is', () => {
    expect(counted(known, { processes: [], order: [0, 1, 2], total: 4, more: 0 })).toBe(known)
    expect(counted(known, { processes: [], order: [0, 2, 1], total: 4, more: 0 })).toEqual([
      one(0),
      one(2),
      one(1),
    ])
  })
})
