/** What the server answers of a stretch of time: what the lanes draw, the strip of the whole, what was left out. */

/** Counts per bucket; of what never happened an empty list. */
export interface Density {
  bucket_ns: number
  calls: number[]
  messages: number[]
  states: number[]
  errors: number[]
}

export interface Span {
  call: number
  start: number
  end: number | null
  depth: number
  label: string
  outcome: string
  module: string | null
  external: boolean
}

export interface Mark {
  event: number
  at: number
  kind: string
  count: number // of this kind in the same few pixels, this being the first
  calm: boolean // an exit that was meant
}

export interface Lane {
  process: number
  density?: Density | null
  spans?: Span[] | null
  marks: Mark[]
}

export interface Arrow {
  message: number
  from: number | null
  to: number | null
  sent_at: number | null
  received_at: number | null
  kind: string
  label: string
  certain: boolean
  via: number[] // hidden processes that the causality passed through; empty for a message
}

export interface Overview {
  bucket_ns: number
  events: number[]
  errors: number[]
}

export interface TimelineData {
  from: number
  to: number
  detail: 'density' | 'spans'
  lanes: Lane[]
  messages: Arrow[]
  truncated: { spans: boolean; messages: boolean; marks: boolean }
}

/** A span of time in which less was recorded than the plan says. `at` null: nobody knows when; `until` null: to the end. */
export interface Omission {
  at: number | null
  until: number | null
  kind: 'step' | 'limit' | 'calls' | 'loss'
  subject: string
  reason: string
  node: string
  process: number | null
  label: string | null
  level: string | null
  function: string | null
  count: number | null
}

/** As it is told: a page of thousands is shorter, and sooner read, without the names of the fields. */
export interface ToldTimeline {
  from: number
  to: number
  detail: 'density' | 'spans'
  lanes: { process: number; density?: Density | null; spans?: ToldSpan[] | null; marks: ToldMark[] }[]
  messages: ToldArrow[]
  truncated: TimelineData['truncated']
}
type ToldSpan = [
  call: number,
  start: number,
  end: number | null,
  depth: number,
  label: string,
  outcome: string,
  module: string | null,
  external: boolean,
]
type ToldMark = [event: number, at: number, kind: string, count: number, calm: boolean]
type ToldArrow = [
  message: number,
  from: number | null,
  to: number | null,
  sent_at: number | null,
  received_at: number | null,
  kind: string,
  label: string,
  certain: boolean,
  via: number[],
]

export const understood = (told: ToldTimeline): TimelineData => ({
  ...told,
  lanes: told.lanes.map(({ spans, marks, ...lane }) => ({
    ...lane,
    spans: spans?.map(([call, start, end, depth, label, outcome, module, external]) => ({
      call,
      start,
      end,
      depth,
      label,
      outcome,
      module,
      external,
    })),
    marks: marks.map(([event, at, kind, count, calm]) => ({ event, at, kind, count, calm })),
  })),
  messages: told.messages.map(([message, from, to, sent_at, received_at, kind, label, certain, via]) => ({
    message,
    from,
    to,
    sent_at,
    received_at,
    kind,
    label,
    certain,
    via,
  })),
})
