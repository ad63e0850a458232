import { describe, expect, it } from 'vitest'
import { type Entry, moved, restored, toMarkdown } from './notebook'

const entry = (at: number, note = ''): Entry => ({
  moment: { at, process: 1, event: at, call: null },
  process: 'Seats',
  label: 'state 3 after put/2',
  note,
})

describe('notebook', () => {
  it('moves entries, and not over the edge', () => {
    const [a, b, c] = [entry(1), entry(2), entry(3)]
    expect(moved([a, b, c], 2, 0)).toEqual([c, a, b])
    expect(moved([a, b, c], 0, 1)).toEqual([b, a, c])
    expect(moved([a, b, c], 0, -1)).toEqual([a, b, c])
    expect(moved([a, b, c], 2, 3)).toEqual([a, b, c])
  })

  it('writes Markdown in which notes and labels stay text', () => {
    const text = toMarkdown(
      'a.scope',
      [entry(1_500_000, 'here <b> it *starts*')],
      (moment) => `http://x/#/e${moment.event}`,
    )
    expect(text).toBe(
      '# Notebook of a.scope\n\n1. **1.500 000 ms** Seats: state 3 after put/2\n' +
        '   here \\<b\\> it \\*starts\\*\n   <http://x/#/e1500000>\n',
    )
  })

  it('takes from the browser only what it understands', () => {
    expect(restored([entry(4, 'x'), { moment: { at: 'soon' } }, null, 7])).toEqual([entry(4, 'x')])
    expect(restored('nonsense')).toEqual([])
  })
})
