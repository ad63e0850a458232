import { describe, expect, it } from 'vitest'
import { Together } from './together'

function server(refused: string[] = []) {
  const asked: string[][] = []
  const together = new Together(
    (question) => {
      asked.push([question])
      return Promise.resolve(`answer ${question}`)
    },
    (questions) => {
      asked.push(questions)
      return Promise.resolve(
        questions.map((one) => (refused.includes(one) ? new Error(`no ${one}`) : `answer ${one}`)),
      )
    },
  )
  return { asked, together }
}

describe('questions of the same breath', () => {
  it('go out as one, and one by itself as it is', async () => {
    const { asked, together } = server()
    const both = ['a', 'b'].map((question) => together.ask(question))
    expect(await Promise.all(both)).toEqual(['answer a', 'answer b'])
    expect(await together.ask('c')).toBe('answer c')
    expect(asked).toEqual([['a', 'b'], ['c']])
  })

  it('are refused each by itself', async () => {
    const { together } = server(['a'])
    const [a, b] = [together.ask('a'), together.ask('b')]
    await expect(a).rejects.toThrow('no a')
    expect(await b).toBe('answer b')
  })

  it('are given up each by itself, before they go out and after', async () => {
    const { asked, together } = server()
    const [early, late] = [new AbortController(), new AbortController()]
    const all = [together.ask('a', early.signal), together.ask('b', late.signal), together.ask('c')]
    early.abort()
    await Promise.resolve() // they are out
    late.abort()
    const ends = await Promise.allSettled(all)
    expect(ends.map((end) => (end.status === 'fulfilled' ? end.value : (end.reason as Error).name))).toEqual([
      'AbortError',
      'AbortError',
      'answer c',
    ])
    expect(asked).toEqual([['b', 'c']])
  })

  it('are all refused when none can be asked', async () => {
    const none = (): Promise<never> => Promise.reject(new Error('unreachable'))
    const together = new Together(none, none)
    const ends = await Promise.allSettled(['a', 'b'].map((question) => together.ask(question)))
    expect(ends.map((end) => end.status)).toEqual(['rejected', 'rejected'])
  })
})
