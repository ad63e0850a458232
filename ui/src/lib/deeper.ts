/** What the server answers to questions that dig: where time went, parts of values, prints in retrospect, why not. */

import type { Change, Message, Moment, Step, Value, Version } from './types'

export type FlameView = 'merged' | 'time' | 'inverted' | 'sandwich'

export interface FlameNode {
  parent: number | null
  depth: number
  function: number
  start: number
  total_ns: number
  self_ns: number
  wait_ns: number
  calls: number
  call: number | null
}

export interface FlameFunction {
  label: string
  module: string | null
  function: string | null
  arity: number | null
  calls: number
  self_ns: number
  wait_ns: number
  total_ns: number
}

export interface Flame {
  view: FlameView
  start: number
  end: number
  total_ns: number
  hidden: number
  functions: FlameFunction[]
  nodes: FlameNode[]
  callers: FlameNode[]
}

export interface Segment {
  start: number
  end: number
  kind: 'self' | 'frame' | 'travel' | 'mailbox' | 'reply'
  process: number | null
  call: number | null
  label: string
  process_label: string
  behind: number | null
  certain: boolean
  reason: string | null
}

export interface CriticalPath {
  call: number
  label: string
  start: number
  end: number
  total: number
  segments: Segment[]
  shares: { kind: string; label: string; ns: number; segments: number }[]
}

/** A value, or a part of one: a row of a tree that opens part by part. */
export interface Part {
  path: string
  where: string
  key: string | null
  kind: string
  text: string
  children: number
  left_out: number | null
  truncated: boolean
  redacted: boolean
}

export interface Children {
  of: Part
  total: number
  offset: number
  children: Part[]
}

/** The last version that changed a field, what it changed there, and the message whose handling did. */
export interface Changed {
  version: Version | null
  certain: boolean
  changes: Change[]
  message: Message | null
}

/** What an expression was at one passing of a line: a value, or why there is none. */
export interface Print {
  moment: Moment
  process_label: string
  value: Value | null
  error: string | null
}

export interface Retro {
  file: string
  line: number
  expression: string
  total: number
  /** Of all passings, those of functions without a name that are made on the line itself. */
  closures: number
  prints: Print[]
  next: number | null
  skipped: number
}

/** Why something did not happen: a verdict, its reasoning, and the moments it rests on. */
export interface WhyNot {
  verdict: string
  text: string
  evidence: { moment: Moment; text: string }[]
  behind: number | null
  certain: boolean
  reason: string | null
}

/** What did not happen: a message's handling, a frame's return, a call of a function, a message of a shape. */
export type WhyNotQuestion =
  { message: number } | { call: number } | { function: string } | { pattern: string; process?: number }

/** A place at which a matching value was recorded: what it was there, and the part that matched. */
export interface Hit {
  kind: string
  label: string
  process_label: string
  where: string
  path: string
  value: Value
  id: number
  moment: Moment
}

export interface HitPage {
  total: number
  hits: Hit[]
  complete: boolean // all values were searched; else `searched` of `values`
  searched: number
  values: number
}

/** How two events stand to each other. */
export interface Relation {
  relation: 'before' | 'after' | 'concurrent' | 'same'
  common_cause: number | null // the latest event that both follow from
  label: string | null
  earliest_common_cause: number | null
  earliest_label: string | null
  chain: Step[]
}

/** An event that crosses between processes, in its lane, as far down as what it follows from demands. */
export interface Point {
  event: number
  at: number
  process: number
  lane: number
  step: number
  label: string
  cause: number | null
  beside: 'before' | 'after' | 'concurrent' | 'same' | null
}

export interface SpaceTime {
  lanes: number[]
  points: Point[]
  steps: number
  total: number
  offset: number
}
