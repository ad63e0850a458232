import { describe, expect, it } from 'vitest'
import { tally } from './prints'
import type { Print } from './types'

const print = (text: string | null, error: string | null = null): Print => ({
  moment: { at: 0, process: 1, event: 2, call: null },
  process_label: 'Seats',
  value: text === null ? null : { id: null, text },
  error,
})

describe('tally', () => {
  it('counts values, the most frequent first, and failures by their reason', () => {
    expect(tally([print('nil'), print('1'), print('1'), print(null, 'x is not bound')])).toEqual([
      { text: '1', count: 2, failed: false },
      { text: 'nil', count: 1, failed: false },
      { text: 'x is not bound', count: 1, failed: true },
    ])
    expect(tally([])).toEqual([])
  })

  it('holds a value and a failure that read alike apart', () => {
    expect(tally([print('nil'), print(null, 'nil')])).toHaveLength(2)
  })
})
