import type { Schema } from './sql'
import { understood } from './timeline'
import { Together } from './together'
import type * as T from './types'

/** What the server refused or could not do, in its own words; `slug` is `unreachable` when it did not answer. */
export class ApiError extends Error {
  constructor(
    readonly slug: string,
    message: string,
    readonly hint: string | null = null,
  ) {
    super(message)
  }
}

type Parameters = Record<string, string | number | null | undefined>

/** The address of a question, its empty parameters left out. */
export function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value))
  }
  const text = query.toString()
  return `api/${path}${text ? `?${text}` : ''}`
}

async function ask<R>(path: string, init: RequestInit): Promise<R> {
  let response: Response
  try {
    response = await fetch(path, { ...init, credentials: 'same-origin' })
  } catch (reason) {
    if (reason instanceof DOMException && reason.name === 'AbortError') throw reason
    throw new ApiError(
      'unreachable',
      'The Cinema’s server does not answer.',
      'Run `elixirscope open` on the recording again: this page goes on by itself.',
    )
  }
  const body: unknown = await response.json().catch(() => null)
  if (response.ok && body !== null) return body as R
  throw refusal(body) ?? new ApiError('answer', `The server answered ${response.status} without saying why.`)
}

/** What a body says of why there is no answer. */
function refusal(body: unknown): ApiError | null {
  const error = (body as { error?: T.ServerError } | null)?.error
  return error ? new ApiError(error.slug, error.message, error.hint) : null
}

const get = <R>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<R> =>
  ask<R>(address(path, parameters), signal ? { signal } : {})

const together = new Together(
  (question, signal) => ask(`api/${question}`, signal ? { signal } : {}),
  async (questions) => {
    const all = new URLSearchParams(questions.map((question) => ['ask', question]))
    const bodies = await ask<unknown[]>(`api/together?${all}`, {})
    return bodies.map((body) => refusal(body) ?? body)
  },
)

/** As `get`, of a short question, which others of the same moment may go along with. */
const join = <R>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<R> =>
  together.ask(address(path, parameters).slice('api/'.length), signal) as Promise<R>

type Signal = AbortSignal | undefined
/** A stretch of time; neither is the whole recording. */
type Within = { from?: number; to?: number }

export const api = {
  /** Where the recording ends; while it grows, as soon as its edition is not `beyond`. */
  head: (beyond: string | null) => get<T.Head>('head', { beyond }),
  info: (signal?: Signal) => get<T.Info>('info', {}, signal),
  /** Processes, of very many `most` of them and `guests`; or what is new of these since the version `known`. */
  processes: (known: string | null, most: number, guests: readonly number[]) =>
    ask<T.Census>(`${address('processes', { most, with: guests.join() })}&known=${known ?? ''}`, {}),
  /** These processes, by themselves. */
  only: (processes: readonly number[]) => get<T.Census>('processes', { only: processes.join() }),
  /** The first processes with `search` in a name or in the pid. */
  called: (search: string, most: number, signal?: Signal) =>
    get<T.Census>('processes', { search, most }, signal),
  findings: (signal?: Signal) => get<{ findings: T.Finding[] }>('findings', {}, signal),
  tests: (signal?: Signal) => get<{ tests: T.Test[] }>('tests', {}, signal),
  omissions: (from: number, to: number, limit: number, signal?: Signal) =>
    get<{ omissions: T.Omission[]; total: number }>(
      'omissions',
      { from: Math.floor(from), to: Math.ceil(to), limit },
      signal,
    ),
  overview: (width: number, signal?: Signal) => get<T.Overview>('overview', { width }, signal),
  timeline: (
    from: number,
    to: number,
    width: number,
    processes: number[],
    through: number[],
    signal?: Signal,
  ) =>
    get<T.ToldTimeline>(
      'timeline',
      {
        from: Math.floor(from),
        to: Math.ceil(to),
        width,
        processes: processes.join(','),
        through: through.join(','),
      },
      signal,
    ).then(understood),
  frame: (m: Partial<T.Moment>, held: { parts?: number; versions?: number } = {}, signal?: Signal) =>
    join<T.Picture>(
      'frame',
      {
        at: m.at === undefined ? null : m.at,
        process: m.process,
        event: m.event,
        call: m.call,
        ...held,
      },
      signal,
    ),
  step: (event: number, direction: string, scope: string, kind: string, signal?: Signal) =>
    get<{ moment: T.Moment | null }>('step', { event, direction, scope, kind }, signal),
  messages: (
    q: {
      from?: number
      to?: number
      processes?: number[]
      limit: number
      offset?: number
      around?: number
      held?: readonly [message: number, count: number] | undefined
      search?: string
      pattern?: string
    },
    signal?: Signal,
  ) =>
    (q.search || q.pattern ? get : join)<T.MessagePage>(
      'messages',
      { ...q, processes: q.processes?.join(','), held: q.held?.join(',') },
      signal,
    ),
  graph: (at: number, process: number | null, limit: number, within: Within, signal?: Signal) =>
    get<T.Graph>('graph', { at, process, limit, ...within }, signal),
  states: (process: number, offset: number, limit: number, signal?: Signal, changes: number | null = null) =>
    get<T.Versions>('states', { process, offset, limit, changes }, signal),
  event: (event: number, signal?: Signal) => get<T.EventRow>('event', { event }, signal),
  diff: (a: number, b: number, signal?: Signal) => get<{ changes: T.Change[] }>('diff', { a, b }, signal),
  children: (call: number, signal?: Signal) =>
    get<{ calls: T.Call[]; total: number }>('calls', { call }, signal),
  calls: (process: number, from: number, to: number, signal?: Signal) =>
    get<{ calls: T.Call[]; total: number }>(
      'calls',
      { process, from: Math.floor(from), to: Math.ceil(to) },
      signal,
    ),
  flame: (
    q: {
      from: number
      to: number
      view: T.FlameView
      processes?: number[]
      function?: string
      width: number
    },
    signal?: Signal,
  ) => get<T.Flame>('flame', { ...q, processes: q.processes?.join(',') }, signal),
  critical: (q: { call?: number; test?: number } & Within, signal?: Signal) =>
    get<T.CriticalPath>('critical', { ...q, limit: 500 }, signal),
  causes: (event: number, direction: string, limit: number, signal?: Signal) =>
    get<{ steps: T.Step[]; total: number }>('causes', { event, direction, limit }, signal),
  cone: (event: number, direction: string, limit: number) =>
    get<{ steps: T.Step[]; lines: Record<string, number[]>; functions: string[] }>('causes', {
      event,
      direction,
      limit,
      lines: 1,
    }),
  flow: (
    q: { event?: number; name?: string; value?: number; direction?: T.Direction; limit?: number },
    signal?: Signal,
  ) => get<{ hops: T.Hop[]; terminator: string }>('flow', q, signal),
  value: (id: number, form: 'term' | 'json' = 'term', signal?: Signal) =>
    get<{ text: string }>('value', { id, as: form }, signal),
  inside: (id: number, path: string, offset: number, limit: number, signal?: Signal) =>
    get<T.Children>('value/children', { id, path, offset, limit }, signal),
  changed: (q: { process: number; at: number; path: string }, signal?: Signal) =>
    get<T.Changed>('changed', q, signal),
  whynot: (q: T.WhyNotQuestion, signal?: Signal) => get<T.WhyNot>('whynot', { ...q }, signal),
  retro: (
    q: {
      file: string
      line: number
      expression: string
      only: string
      limit: number
      from?: number
      to?: number
    },
    signal?: Signal,
  ) => get<T.Retro>('retro', q, signal),
  source: (file: string, signal?: Signal) =>
    get<{ file: string; lines: string[]; executed: { line: number; hits: number }[] }>(
      'source',
      { file },
      signal,
    ),
  hits: (file: string, within: Within, signal?: Signal) =>
    get<{ executed: { line: number; hits: number }[] }>('hits', { file, ...within }, signal),
  search: (q: string, signal?: Signal) => get<{ results: T.SearchResult[] }>('search', { q }, signal),
  find: (
    q: {
      q: string
      as: 'pattern' | 'text'
      kinds: string
      limit: number
      offset: number
      from?: number
      to?: number
    },
    signal?: Signal,
  ) => get<T.HitPage>('find', q, signal),
  named: (q: string, kind: string, limit: number, offset: number, signal?: Signal) =>
    get<{ results: T.SearchResult[]; total: number }>('search', { q, kind, limit, offset }, signal),
  relation: (a: number, b: number, signal?: Signal) => get<T.Relation>('relation', { a, b }, signal),
  spacetime: (
    q: { from: number; to: number; limit: number; offset: number; beside?: number | null },
    signal?: Signal,
  ) => get<T.SpaceTime>('spacetime', q, signal),
  schema: (signal?: Signal) => get<Schema>('schema', {}, signal),
  query: (sql: string, limit: number, signal?: Signal) =>
    ask<T.QueryResult>('api/query', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql, limit }),
      ...(signal ? { signal } : {}),
    }),
}
