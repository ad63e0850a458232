import { describe, expect, it } from 'vitest'
import { bound, completions, errorAt, isScoped, type Schema, tables } from './sql'

const schema: Schema = {
  views: [
    {
      name: 'calls',
      meaning: 'frames',
      columns: ['call', 'duration', 'module'].map((name) => ({ name, meaning: '' })),
    },
    { name: 'messages', meaning: 'messages', columns: [{ name: 'message', meaning: '' }] },
  ],
}
const texts = (sql: string): string[] => completions(sql, sql.length, schema).map((one) => one.text)

describe('completions', () => {
  it('offers tables after from and join', () => {
    expect(texts('select * from ')).toEqual(['calls', 'messages'])
    expect(texts('select * from calls join m')).toEqual(['messages'])
  })

  it('offers columns of the tables named, then functions and keywords', () => {
    expect(texts('select * from calls where du')).toEqual(['duration'])
    expect(texts('select * from calls where c')).toEqual(['call', 'count', 'coalesce', 'contains', 'case'])
    expect(texts('select * from calls c join messages m where m.')).toEqual(['message'])
  })

  it('offers columns in a select whose tables come later', () => {
    const sql = 'select du from calls'
    expect(completions(sql, 9, schema).map((one) => one.text)).toEqual(['duration'])
  })

  it('knows aliases, and no keyword for one', () => {
    expect([...tables('from calls c left join messages where', schema)]).toEqual([
      ['calls', 'calls'],
      ['c', 'calls'],
      ['messages', 'messages'],
    ])
  })
})

describe('errorAt', () => {
  const message = 'Binder Error: no "kindd"\n\nLINE 2:  kindd = 3\n         ^^^^^'

  it('finds the stretch of the query that the message points at', () => {
    const sql = 'select * from events where\n kindd = 3'
    expect(errorAt(message, sql)).toEqual({ from: 28, to: 33, line: 2, column: 2 })
    expect(sql.slice(28, 33)).toBe('kindd')
  })

  it('says nothing when the message does not', () => {
    expect(errorAt('refused', 'select 1')).toBeNull()
    expect(errorAt(message, 'select 1')).toBeNull()
  })
})

describe('the stretch of time in focus', () => {
  it('stands for $from and $to, outside of texts and comments', () => {
    expect(
      bound('select \'$from\', "$to" -- $from\nfrom calls where start between $from and $to', [1.5, 9.2]),
    ).toBe('select \'$from\', "$to" -- $from\nfrom calls where start between 1 and 10')
    expect(isScoped('select 1 where x < $to')).toBe(true)
    expect(isScoped("select '$to', $total")).toBe(false)
  })
})
