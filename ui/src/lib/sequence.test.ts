import { describe, expect, it } from 'vitest'
import { OUTSIDE, parties, position, sequence } from './sequence'
import type { Message } from './types'

const message = (message: number, from: number | null, to: number, sent: number, rest = {}): Message => ({
  message,
  kind: 'call',
  from,
  to,
  to_name: null,
  sent_at: sent,
  received_at: sent + 5,
  handled_at: null,
  handle_call: null,
  sender_call: null,
  request: null,
  reply: null,
  tag: null,
  value: null,
  certain: true,
  reason: null,
  send_event: message,
  receive_event: null,
  ...rest,
})

describe('sequence', () => {
  const all = [message(1, 1, 2, 100), message(2, 2, 3, 103, { handled_at: 1000 }), message(3, null, 1, 50)]

  it('shows only what passes between chosen processes', () => {
    const found = sequence(all, new Set([1, 2]))
    expect(found.columns).toEqual([1, 2])
    expect(found.arrows.map((one) => one.message.message)).toEqual([1])
  })

  it('gives each instant a row, the earlier the higher, and the outside the last column', () => {
    const found = sequence(all, new Set([1, 2, 3, OUTSIDE]))
    expect(found.columns).toEqual([1, 2, 3, OUTSIDE])
    const [first, second, third] = found.arrows
    expect([first, second, third].map((one) => one?.message.message)).toEqual([3, 1, 2])
    expect(second!.sent).toBeLessThan(third!.sent)
    expect(third!.sent).toBeLessThan(second!.received)
    expect(third!.handled! - third!.received).toBe(15)
  })

  it('is true to scale when asked', () => {
    const found = sequence(all, new Set([1, 2, 3]), 'time', 1028)
    const [one, two] = found.arrows
    expect(one!.sent).toBe(14)
    expect(two!.handled).toBeCloseTo(1014)
    expect(two!.sent - one!.sent).toBeCloseTo((3 / 900) * 1000)
  })

  it('never draws an arrow up the page', () => {
    const odd = sequence([message(1, 1, 2, 100, { received_at: 90 })], new Set([1, 2]))
    expect(odd.arrows[0]!.received).toBe(odd.arrows[0]!.sent)
  })

  it('lists the talkative first', () => {
    expect(parties(all)).toEqual([1, 2, OUTSIDE, 3])
  })
})

describe('position', () => {
  const instants = [
    { at: 10, y: 0 },
    { at: 20, y: 100 },
  ]
  it('interpolates, and is nowhere before the first instant', () => {
    expect(position(instants, 15)).toBe(50)
    expect(position(instants, 5)).toBeNull()
    expect(position(instants, 99)).toBe(100)
    expect(position([], 99)).toBeNull()
  })
})
