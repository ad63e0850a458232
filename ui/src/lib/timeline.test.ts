import { expect, test } from 'vitest'
import { understood } from './timeline'

test('what is told as arrays is read by name', () => {
  const { lanes, messages } = understood({
    from: 0,
    to: 9,
    detail: 'spans',
    lanes: [
      {
        process: 3,
        spans: [[7, 1, null, 2, 'Seats.put/3', 'raised', 'Office.Seats', false]],
        marks: [[8, 5, 'exit', 4, true]],
      },
    ],
    messages: [[9, 3, null, 2, 6, 'call', ':put', false, [5]]],
    truncated: { spans: false, messages: false, marks: true },
  })
  expect(lanes).toEqual([
    {
      process: 3,
      spans: [
        {
          call: 7,
          start: 1,
          end: null,
          depth: 2,
          label: 'Seats.put/3',
          outcome: 'raised',
          module: 'Office.Seats',
          external: false,
        },
      ],
      marks: [{ event: 8, at: 5, kind: 'exit', count: 4, calm: true }],
    },
  ])
  expect(messages).toEqual([
    {
      message: 9,
      from: 3,
      to: null,
      sent_at: 2,
      received_at: 6,
      kind: 'call',
      label: ':put',
      certain: false,
      via: [5],
    },
  ])
})
