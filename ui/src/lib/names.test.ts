import { describe, expect, it } from 'vitest'
import { argumentsText, breakable, shortText } from './names'

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

describe('names that are longer than a line', () => {
  it('break between their parts', () => {
    expect(breakable('in Broadway.Topology.prepare_for_start/2, by a :name')).toEqual([
      'in Broadway.',
      'Topology.',
      'prepare_',
      'for_',
      'start/2, by a :name',
    ])
  })

  it('break between their words when these are long', () => {
    expect(breakable('of ConcurrentProcessorTest: handle_processor_messages/3')).toEqual([
      'of Concurrent',
      'Processor',
      'Test: handle_',
      'processor_',
      'messages/3',
    ])
  })

  it('leave sentences and numbers as they are, and lose nothing', () => {
    for (const text of ['It was told. Then it acted, and so on …', 'lib/seats.ex and _ or {:put, _}', ''])
      expect(breakable(text).join('')).toBe(text)
    for (const text of ['It was told. Then', '(box_office.ex:10)', '1.5'])
      expect(breakable(text)).toEqual([text])
  })
})
