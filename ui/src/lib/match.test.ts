import { describe, expect, it } from 'vitest'
import { best, score } from './match'
import { functionName, hueOf, place } from './names'

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

  it('give every kind its hue', () => {
    const kinds = ['call', 'send', 'state', 'raise', 'exit', 'spawn', 'mark', null]
    expect(kinds.map(hueOf)).toEqual(['call', 'message', 'state', 'error', 'error', 'life', 'mark', 'call'])
  })
})
