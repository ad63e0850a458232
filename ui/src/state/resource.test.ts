import { describe, expect, it } from 'vitest'
import { ApiError } from '../lib/api'
import { Resource } from './resource.svelte'

/** A server whose answers are given by hand. */
function server() {
  const open = new Map<
    string,
    { answer: (text: string) => void; refuse: (error: Error) => void; signal: AbortSignal }
  >()
  const ask = (key: string) => (signal: AbortSignal) =>
    new Promise<string>((answer, refuse) => {
      signal.addEventListener('abort', () => refuse(new DOMException('', 'AbortError')))
      open.set(key, { answer, refuse, signal })
    })
  return { open, ask }
}
const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 0))

describe('a resource', () => {
  it('cancels the older question and shows the answer to the newest', async () => {
    const { open, ask } = server()
    const resource = new Resource<string>()
    for (const key of ['a', 'b', 'c']) resource.load(key, ask(key))
    await settle()
    expect(open.get('a')?.signal.aborted).toBe(true)
    expect([...open.keys()]).toEqual(['a', 'c'])
    open.get('c')?.answer('answer c')
    await settle()
    expect([resource.value, resource.busy]).toEqual(['answer c', false])
  })

  it('asks the same question once, and again only when told to', async () => {
    const { open, ask } = server()
    const resource = new Resource<string>()
    resource.load('a', ask('a'))
    open.get('a')?.refuse(new ApiError('query', 'no', 'try'))
    await settle()
    expect(resource.error?.hint).toBe('try')
    open.clear()
    resource.load('a', ask('a'))
    expect(open.size).toBe(0)
    resource.retry()
    resource.load('a', ask('a'))
    open.get('a')?.answer('at last')
    await settle()
    expect([resource.value, resource.error]).toEqual(['at last', null])
  })

  it('shows what is at hand at once, and cancels what was asked before', async () => {
    const { open, ask } = server()
    const resource = new Resource<string>()
    resource.load('a', ask('a'))
    resource.take('b', 'answer b')
    expect(resource.value).toBe('answer b')
    expect(open.get('a')?.signal.aborted).toBe(true)
    await settle()
    expect([resource.value, resource.error, resource.busy]).toEqual(['answer b', null, false])
    resource.load('b', ask('b')) // is answered
    expect(open.has('b')).toBe(false)
    resource.load('a', ask('a'))
    open.get('a')?.answer('answer a')
    await settle()
    expect(resource.value).toBe('answer a')
  })

  it('drops an answer that arrives after it was cleared', async () => {
    const { open, ask } = server()
    const resource = new Resource<string>()
    resource.load('a', ask('a'))
    resource.clear()
    open.get('a')?.answer('late')
    await settle()
    expect([resource.value, resource.busy]).toEqual([null, false])
  })
})
