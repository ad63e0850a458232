/** What the server answers (docs/api.md). Times are ns from the recording's start. */

import type { Children } from './deeper'

export interface Moment {
  at: number
  process: number | null
  event: number | null
  call: number | null
}

export interface Value {
  id: number | null
  text: string
  truncated?: boolean
  redacted?: boolean
}

export interface Coverage {
  subject: string
  reason: string
}

/** Where the recording stands: `edition` changes whenever answers may. */
export interface Head {
  edition: string
  state: 'recording' | 'sealing' | 'sealed'
  end: number
  events: number
  lost: number
  coded: boolean // has calls or states of its own
  more: number // how many are not told that it is the nearest above
}

export interface Info {
  format_version: number
  events: number
  processes: number
  calls: number
  messages: number
  states: number
  lost: number
  truncated: number
  duration_ns: number
  bytes: number
  complete: boolean
  coverage: Coverage[]
  path: string
  name: string
  command: string[]
  started_unix_ns: number
}

export interface Process {
  process: number
  pid: string
  node: string
  name: string | null
  label: string
  kind: string
  module: string | null
  initial: string | null
  parent: number | null
  supervisor: number | null
  depth: number
  incarnation: number
  predecessor: number | null
  start: number
  end: number | null
  exit_kind: string | null
  exit_reason: string | null
  exit_event?: number | null
  events: number
  lost: number
  coded: boolean // has calls or states of its own
  more: number // how many are not told that it is the nearest above
}

/** All processes, or those that are others since the version that was known, and the numbers of all in `order`. */
export interface Census {
  processes: Process[]
  version?: string
  order?: number[]
  total: number // as many there are
  more: number // of those that are not told how many have nobody above them who is
}

export interface Location {
  module: string | null
  function: string | null
  arity: number | null
  file: string | null
  line: number | null
}

export interface Finding {
  kind: string
  title: string
  confidence: number
  location: Location | null
  evidence: { moment: Moment; text: string }[]
  explanation: string
  suggestion: string
}

export interface Test {
  event: number
  module: string
  name: string
  file: string | null
  line: number | null
  start: number
  end: number | null
  result: string | null
  process: number
  call: number | null
  text: string | null
}

export interface EventRow extends Location {
  event: number
  at: number
  process: number
  kind: string
  label: string
  call: number | null
  peer: number | null
  value: Value | null
}

export interface StackFrame extends Location {
  call: number
  start: number
  end: number | null
  outcome: string
  args: Value | null
  result: Value | null
  process: number
  remote: boolean
}

export interface Binding {
  name: string
  value: Value
  at: number
  event: number
  line: number | null
  previous: Value | null
}

export interface Source {
  file: string
  line: number | null
  first: number
  lines: string[]
  executed: { line: number; hits: number }[]
  values: { line: number; text: string }[]
}

export interface Change {
  path: string
  op: 'add' | 'remove' | 'change'
  before: string | null
  after: string | null
}

/** A page of a state's history: its version numbers begin at `offset`. */
export interface Versions {
  process: number
  versions: Version[]
  /** What each of them changed, when it was asked for; null where nothing can be told. */
  changes?: ({ total: number; first: Change[] } | null)[]
  offset: number
  total: number
}

export interface StateAt {
  process: number
  version: number
  versions: number
  at: number
  module: string | null
  callback: string | null
  value: Value
  previous: Value | null
  changes: Change[]
  message: number | null
}

export interface Waiting {
  message: number
  from: number | null
  tag: string | null
  sent_at: number | null
  received_at: number | null
  waiting_ns: number | null
}

export interface GraphNode {
  process: number
  label: string
  kind: string
  alive: boolean
  activity: number
  mailbox: number
  memory: number | null
}

export interface GraphEdge {
  source: number
  target: number
  kind: string
  count: number
  certain: boolean
  reason: string | null
}

export interface Step {
  event: number
  at: number
  process: number
  label: string
  edge: string | null
  certain: boolean
  reason: string | null
}

export interface Graph {
  nodes: GraphNode[]
  edges: GraphEdge[]
  pairs: number // of sender and receiver; the busiest have edges
  total: number // of processes; those that did most are nodes
  lives: { alive: number; ended: number; crashed: number; restarted: number }
}

export interface Picture {
  moment: Moment
  event: EventRow | null
  stack: StackFrame[]
  bindings: Binding[]
  source: Source | null
  state: StateAt | null
  mailbox: Waiting[]
  /** Whether there are more frames than the stack tells, and how many messages wait in all. */
  deeper: boolean
  waiting: number
  beside: StateAt | null
  causes: Step[]
  performance: {
    self_ns: number | null
    wait_mailbox_ns: number | null
    wait_reply_ns: number | null
    span_ns: number | null
  } | null
  coverage: Coverage[]
  /** Of the state, else of that beside it, when it was asked for: the value's first parts, and neighbouring versions. */
  inside: Children | null
  near: Version[]
}

/** A page of messages; `complete` unless a search has to go on: `searched` of `values` were looked at. */
export interface MessagePage {
  total: number
  offset: number
  messages: Message[]
  complete: boolean
  searched: number
  values: number
  held: boolean // it is the page that was said to be at hand, and its messages are not told again
}

export interface Message {
  message: number
  kind: string
  from: number | null
  to: number | null
  to_name: string | null
  sent_at: number | null
  received_at: number | null
  handled_at: number | null
  handle_call: number | null
  sender_call: number | null
  request: number | null
  reply: number | null
  tag: string | null
  value: Value | null
  certain: boolean
  reason: string | null
  send_event: number | null
  receive_event: number | null
}

export interface Version {
  state: number
  version: number
  at: number
  until: number | null
  callback: string | null
  message: number | null
  value: Value
  restart: boolean
  discontinuity: boolean
}

export interface Call {
  call: number
  parent: number | null
  depth: number
  process: number
  module: string | null
  function: string | null
  arity: number | null
  start: number
  end: number | null
  outcome: string
  args: Value | null
  result: Value | null
  children: number
  external: boolean
}

export interface Hop {
  event: number
  at: number
  process: number
  kind: string
  label: string
  value: Value | null
  certain: boolean
  reason: string | null
  of?: number | null // forwards: the number of the hop it came from
}

export type Direction = 'backward' | 'forward'

export interface SearchResult {
  kind: string
  label: string
  moment: Moment
}

export interface QueryResult {
  columns: string[]
  types: string[]
  rows: unknown[][]
  total: number
  truncated: boolean
  elapsed_ms: number
}

export interface ServerError {
  slug: string
  message: string
  hint: string | null
}

export type * from './deeper'
export type * from './timeline'
