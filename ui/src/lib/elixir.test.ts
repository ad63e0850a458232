import { describe, expect, it } from 'vitest'
import { highlight, tokens } from './elixir'

const kinds = (line: string): [string, string][] =>
  tokens(line)
    .tokens.filter((token) => token.text.trim() !== '')
    .map((token) => [token.kind, token.text])

describe('the reader of Elixir', () => {
  it('tells keywords, calls, atoms, modules and numbers apart', () => {
    expect(kinds('  def put(seat), do: Map.put(@seats, :a?, 0x1F)')).toEqual([
      ['keyword', 'def'],
      ['call', 'put'],
      ['plain', '(seat), '],
      ['atom', 'do:'],
      ['module', 'Map'],
      ['operator', '.'],
      ['call', 'put'],
      ['plain', '('],
      ['attribute', '@seats'],
      ['plain', ', '],
      ['atom', ':a?'],
      ['plain', ', '],
      ['number', '0x1F'],
      ['plain', ')'],
    ])
    expect(kinds('state.end')).not.toContainEqual(['keyword', 'end'])
  })

  it('carries heredocs over lines', () => {
    const [first, second, third, fourth] = highlight(['@doc """', 'if this # is text', '"""', 'if x'])
    expect(first?.at(-1)).toEqual({ kind: 'string', text: '"""' })
    expect(second).toEqual([{ kind: 'string', text: 'if this # is text' }])
    expect(third).toEqual([{ kind: 'string', text: '"""' }])
    expect(fourth?.[0]).toEqual({ kind: 'keyword', text: 'if' })
  })

  it('loses no character of any line', () => {
    const lines = [
      'x = ~s(a) <> "b\\"c" # d',
      "'''",
      'é ← <script>alert(1)</script>',
      ':"a b" ?\\n 1.5e-3 |> f!()',
    ]
    for (const line of lines)
      expect(
        tokens(line)
          .tokens.map((token) => token.text)
          .join(''),
      ).toBe(line)
  })
})
