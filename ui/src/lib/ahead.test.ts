import { describe, expect, it } from 'vitest'
import { Ahead } from './ahead'

/** Questions that are answered by hand, in the order in which they were asked. */
function server() {
  const asked: string[] = []
  const open = new Map<string, { answer: (text: string) => void; refuse: (error: Error) => void }>()
  const ask = (key: string) => (): Promise<string> => {
    asked.push(key)
    return new Promise((answer, refuse) => open.set(key, { answer, refuse }))
  }
  return { asked, open, ask }
}
const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 0))

describe('answers asked for ahead', () => {
  it('asks each question once, and keeps the last few answers', async () => {
    const { asked, open, ask } = server()
    const ahead = new Ahead<string>(2)
    for (const key of ['a', 'b', 'c']) {
      const there = ahead.ask(key, ask(key))
      void ahead.ask(key, ask(key))
      open.get(key)?.answer(`answer ${key}`)
      await there
    }
    expect(asked).toEqual(['a', 'b', 'c'])
    expect([ahead.of('a'), await ahead.of('b'), await ahead.of('c')]).toEqual([
      undefined,
      'answer b',
      'answer c',
    ])
  })

  it('tells at once what is there, and nothing of what is still to come', async () => {
    const { open, ask } = server()
    const ahead = new Ahead<string>(4)
    const there = ahead.ask('a', ask('a'))
    expect(ahead.here('a')).toBeUndefined()
    open.get('a')?.answer('answer a')
    await there
    expect([ahead.here('a'), ahead.here('b')]).toEqual(['answer a', undefined])
  })

  it('goes on with the newest of those that came while one was under way', async () => {
    const { asked, open, ask } = server()
    const ahead = new Ahead<string>(4)
    const first = ahead.ask('a', ask('a'))
    const given = ahead.ask('b', ask('b'))
    const last = ahead.ask('c', ask('c'))
    await given // for `c`
    expect([asked, ahead.of('b')]).toEqual([['a'], undefined])
    open.get('a')?.answer('answer a')
    await first
    await settle()
    expect(asked).toEqual(['a', 'c'])
    open.get('c')?.answer('answer c')
    await last
    expect(await ahead.of('c')).toBe('answer c')
  })

  it('forgets what was refused, and goes on', async () => {
    const { open, ask } = server()
    const ahead = new Ahead<string>(4)
    const refused = ahead.ask('a', ask('a'))
    open.get('a')?.refuse(new Error('no'))
    await refused
    await settle()
    expect(ahead.of('a')).toBeUndefined()
    void ahead.ask('a', ask('a'))
    open.get('a')?.answer('answer a')
    expect(await ahead.of('a')).toBe('answer a')
  })
})
