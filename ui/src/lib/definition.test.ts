import { describe, expect, it } from 'vitest'
import { definition, idle } from './definition'

const SOURCE = `defmodule TicketOffice.Seats do
  use GenServer

  def free?(show, seat), do: true
  def handle_call({:put, seat, %{name: n}}, _from, [head | _] = state) do
    state
  end

  defp none, do: nil
  defp empty(), do: nil

  def long(
        one, # a comment, with a comma
        "text, with )" <> rest,
        <<a, b>>,
        other \\\\ {1, 2}
      ) do
    one
  end

  defmodule Inner do
    def deep(x), do: x
  end

  def after_inner(x, y), do: {x, y}
  @doc "def not(this)"
end`.split('\n')

const at = (text: string) =>
  definition(
    SOURCE,
    SOURCE.findIndex((line) => line.includes(text)),
  )

describe('what a line defines', () => {
  it('counts parameters, not what is inside of them', () => {
    expect(at('free?')).toEqual({ module: 'TicketOffice.Seats', name: 'free?', arity: 2 })
    expect(at('handle_call')).toMatchObject({ name: 'handle_call', arity: 3 })
    expect(at('none,')).toMatchObject({ name: 'none', arity: 0 })
    expect(at('empty()')).toMatchObject({ name: 'empty', arity: 0 })
    expect(at('def long')).toMatchObject({ name: 'long', arity: 4 })
  })

  it('knows the module that encloses it', () => {
    expect(at('def deep')).toMatchObject({ module: 'Inner', arity: 1 })
    expect(at('after_inner')).toMatchObject({ module: 'TicketOffice.Seats', arity: 2 })
    expect(definition(['def lonely(x)'], 0)).toEqual({ module: null, name: 'lonely', arity: 1 })
  })

  it('tells which never ran: neither its head nor its body', () => {
    const line = (text: string): number => 10 + SOURCE.findIndex((one) => one.includes(text))
    const ran = new Map([
      [line('free?'), 3],
      [line('    state'), 1], // the body of handle_call; its head has no hit of its own
      [line('def deep'), 1],
    ])
    const found = idle(SOURCE, 10, ran, null)
    expect([...found.values()]).toEqual([
      'TicketOffice.Seats.none/0',
      'TicketOffice.Seats.empty/0',
      'TicketOffice.Seats.long/4',
      'TicketOffice.Seats.after_inner/2',
    ])
    expect(found.get(line('defp none'))).toBe('TicketOffice.Seats.none/0')
  })

  it('takes nothing else for a definition', () => {
    expect(at('use GenServer')).toBeNull()
    expect(at('@doc')).toBeNull()
    expect(definition(['def open(a, b'], 0)).toBeNull()
  })
})
