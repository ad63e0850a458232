import { describe, expect, it } from 'vitest'
import { looksLikePattern, namedFunction, unfinished, writable } from './finder'

describe('how a text is meant', () => {
  it('takes what is written as a term for a pattern', () => {
    for (const text of ['%{status: :error}', '{:ok, _}', '"A1"', '12', '-1.5', ':ok', '[_ | _]', 'a | b'])
      expect(looksLikePattern(text), text).toBe('pattern')
  })

  it('takes words for text', () => {
    for (const text of ['spring', 'Seats', 'Till.total/2', 'seat 12', ''])
      expect(looksLikePattern(text), text).toBe('text')
  })

  it('knows what cannot be written in a pattern', () => {
    expect(writable('{:put, "B4", "customer 4"}')).toBe(true)
    expect(writable('{#PID<0.417.0>, 1}')).toBe(false)
    expect(writable('#Function<3.1/1 in X.y/0>')).toBe(false)
    expect(writable('%{"A1" => nil, "B…')).toBe(false)
  })

  it('finds the function that a text names', () => {
    expect(namedFunction(' Seats.free?/1 ')).toBe('Seats.free?/1')
    expect(namedFunction('Elixir.TicketOffice.Till.total/2')).toBe('TicketOffice.Till.total/2')
    expect(namedFunction('Seats.free')).toBeNull()
    expect(namedFunction('total/2')).toBeNull()
  })

  it('knows when a pattern is still being typed', () => {
    for (const text of ['{', '{:put', '{:ok, [1', '%{a: "}', '"', '"a\\"', '<<1, 2', 'pid('])
      expect(unfinished(text), text).toBe(true)
    for (const text of ['{}', '"a\\\\"', '{:ok, "{"}', '<<1>>', '%{status: }}', '{]', ':ok', 'a | b', '""'])
      expect(unfinished(text), text).toBe(false)
  })
})
