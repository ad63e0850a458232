import { describe, expect, it } from 'vitest'
import { bands, doubtful, inLane, sentence, words } from './omissions'
import type { Omission } from './types'

const of = (some: Partial<Omission>): Omission => ({
  at: 1000,
  until: 2000,
  kind: 'loss',
  subject: 'events',
  reason: 'overload',
  node: 'nonode@nohost',
  process: 3,
  label: 'Seats',
  level: null,
  function: null,
  count: 12,
  ...some,
})
const view = { from: 0, to: 10_000 }

describe('what was left out, in words', () => {
  it('says what, when and why', () => {
    expect(sentence(of({}))).toBe('12 events of Seats lost, from 1 µs to 2 µs: overload')
    expect(sentence(of({ at: null, until: null, count: 1, label: null }))).toMatch(/^1 event lost, at a time/)
    expect(sentence(of({ kind: 'step', subject: 'messages', level: 'lifecycle', until: null }))).toBe(
      'No messages, from 1 µs to the end: overload',
    )
    expect(words(of({ kind: 'step', level: 'messages' }))).toBe('messages only')
    expect(words(of({ kind: 'calls', function: 'Shop.Seats.put/2', count: 40_000 }))).toBe(
      'Seats.put/2 ×40,000 counted',
    )
  })
})

describe('bands', () => {
  it('cover their spans, and can be pointed at however short they are', () => {
    const [long, short] = bands([of({ at: 4000, until: 4001 }), of({})], view, 1000, 10_000)
    expect(long).toMatchObject({ left: 100, width: 100, text: '12 lost', from: 1000, to: 2000 })
    expect(short).toMatchObject({ left: 400, width: 6 })
  })

  it('are one where they nearly touch, with all that was lost in them', () => {
    const near = [0, 1, 2, 3, 4, 5].map((index) =>
      of({ at: 1000 + index * 10, until: 1005 + index * 10, count: 2 }),
    )
    const found = bands(near, view, 1000, 10_000)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ text: '12 lost', from: 1000, to: 1055 })
    expect(found[0]?.about.split('\n')).toHaveLength(5)
    expect(found[0]?.about).toMatch(/and 2 more/)
  })

  it('stay apart where they follow each other, unless one is too narrow to be seen', () => {
    const step = (at: number, until: number, level: string): Omission =>
      of({ kind: 'step', at, until, level })
    const two = bands([step(1000, 2000, 'calls'), step(2000, 4000, 'messages')], view, 1000, 9000)
    expect(two.map((band) => band.text)).toEqual(['calls without values', 'messages only'])
    const one = bands([step(1000, 2000, 'calls'), step(2000, 2010, 'messages')], view, 1000, 9000)
    expect(one.map((band) => band.text)).toEqual(['calls without values · messages only'])
  })

  it('last to the end where nobody stepped back, and stay away outside the view', () => {
    const [open] = bands([of({ until: null })], view, 1000, 9000)
    expect(open).toMatchObject({ left: 100, width: 800 })
    expect(bands([of({})], { from: 5000, to: 6000 }, 1000, 9000)).toEqual([])
    expect(bands([of({ at: null })], view, 1000, 9000)).toEqual([])
  })
})

describe('whose life is doubtful', () => {
  it('is who lost events that no band shows', () => {
    const seats = { process: 3, lost: 12 }
    expect(inLane(of({}))).toBe(true)
    expect(doubtful([seats], [of({})]).size).toBe(0)
    expect(doubtful([seats], [of({ at: null })])).toEqual(new Set([3]))
    expect(doubtful([{ process: 4, lost: 0 }], []).size).toBe(0)
  })
})
