import { describe, expect, it } from 'vitest'
import { argumentsText, shortText } from './names'

describe('arguments', () => {
  it('stand between parentheses without the braces of their tuple', () => {
    expect(argumentsText('{{:put, "A1"}, %{a: 1}}')).toBe('{:put, "A1"}, %{a: 1}')
    expect(argumentsText('{}')).toBe('')
    expect(argumentsText('{%{"A1" => nil, …')).toBe('%{"A1" => nil, …')
    expect(argumentsText('not a tuple')).toBe('not a tuple')
  })
})

describe('labels in narrow columns', () => {
  it('keep the last name of a module before a function', () => {
    expect(shortText('calls TicketOffice.Seats.put/3')).toBe('calls Seats.put/3')
    expect(shortText('argument 1 of A.B.C.free?/2')).toBe('argument 1 of C.free?/2')
  })

  it('leave all else as it is', () => {
    for (const text of ['calls Seats.put/3', 'alias A.B.C', 'sends call {:put, 1.5}', ':gen_server.call/3'])
      expect(shortText(text)).toBe(text)
  })
})
