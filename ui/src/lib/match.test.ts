import { describe, expect, it } from 'vitest'
import { best, score } from './match'
import { functionName, hueOf, place, shortLabels } from './names'

describe('the palette', () => {
  it('needs the letters in order', () => {
    expect(score('xyz', 'Seats')).toBeNull()
    expect(score('st', 'Seats')).not.toBeNull()
  })

  it('prefers starts of words', () => {
    expect(best('ns', ['transcripts', 'next state', 'seats'], (text) => text)[0]).toBe('next state')
    expect(best('', ['a', 'b'], (text) => text)).toEqual(['a', 'b'])
  })
})

describe('names', () => {
  it('shorten modules and files', () => {
    const at = { module: 'TicketOffice.Seats', function: 'put', arity: 3, file: 'lib/seats.ex', line: 42 }
    expect(functionName(at)).toBe('Seats.put/3')
    expect(place(at)).toBe('seats.ex:42')
    expect(place(null)).toBe('')
  })

  it('drop prefixes while they stay different', () => {
    const labels = [
      'TicketOffice.Ledger',
      'A.Supervisor',
      'B.Supervisor',
      'Seats {"x"}',
      '#PID<0.1.0>',
      'A.B.f/1',
    ]
    const short = shortLabels(labels.map((label, process) => ({ process, label })))
    expect([...short.values()]).toEqual([
      'Ledger',
      'A.Supervisor',
      'B.Supervisor',
      'Seats {"x"}',
      '#PID<0.1.0>',
      'B.f/1',
    ])
  })

  it('give every kind its hue', () => {
    const kinds = ['call', 'send', 'state', 'raise', 'exit', 'spawn', 'mark', null]
    expect(kinds.map(hueOf)).toEqual(['call', 'message', 'state', 'error', 'error', 'life', 'mark', 'call'])
  })
})
