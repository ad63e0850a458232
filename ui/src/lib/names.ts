import type { Location } from './types'

/** `Elixir.` and the application's own prefix say nothing new in a narrow column. */
export const shortModule = (module: string | null | undefined): string => {
  if (!module) return ''
  const parts = module.replace(/^Elixir\./, '').split('.')
  return parts[parts.length - 1] ?? module
}

/** `Seats.put/2`, or the module alone, or a dash. */
export function functionName(at: {
  module: string | null
  function: string | null
  arity: number | null
}): string {
  const module = shortModule(at.module)
  if (!at.function) return module || '–'
  const arity = at.arity === null ? '' : `/${at.arity}`
  return module ? `${module}.${at.function}${arity}` : `${at.function}${arity}`
}

/** `seats.ex:42`. */
export function place(at: Pick<Location, 'file' | 'line'> | null | undefined): string {
  if (!at?.file) return ''
  const file = at.file.split('/').pop() ?? at.file
  return at.line === null || at.line === undefined ? file : `${file}:${at.line}`
}

/** A label with functions by their modules' last names: `calls Seats.put/3` for `calls TicketOffice.Seats.put/3`. */
export const shortText = (text: string): string => text.replace(/\b(?:[A-Z]\w*\.)+(?=[A-Z]\w*\.[a-z_])/g, '')

const LONG_WORD = /\b\w{17,}/g

/** A text in the parts between which it may break: after the names of modules, and between the words of a long name. */
export const breakable = (text: string): string[] =>
  text.split(/(?<=\b[A-Z]\w*\.)(?=\w)/).flatMap((part) => {
    const breaks = [...part.matchAll(LONG_WORD)].flatMap((word) =>
      [...word[0].matchAll(/(?<=[a-z0-9]_|[a-z0-9](?=[A-Z]))(?=\w)/g)].map((at) => word.index + at.index),
    )
    return [0, ...breaks].map((from, index) => part.slice(from, breaks[index]))
  })

/** Arguments, recorded as a tuple, as they stand between the parentheses of a call. */
export const argumentsText = (text: string): string =>
  text.startsWith('{') ? text.slice(1, text.endsWith('}') ? -1 : undefined) : text

/** Which of the hues of the visual language an event, message or mark belongs to. */
export type Hue = 'call' | 'message' | 'state' | 'error' | 'life' | 'mark'

const HUES: [RegExp, Hue][] = [
  [/raise|caught|exception|crash|kill|error/, 'error'],
  [/exit/, 'error'],
  [/state|unchanged|init/, 'state'],
  [/send|receive|message|cast|reply|info|deliver/, 'message'],
  [/spawn|link|monitor|register|restart|start|down/, 'life'],
  [/mark|test|note/, 'mark'],
]

export function hueOf(kind: string | null | undefined): Hue {
  const text = (kind ?? '').toLowerCase()
  return HUES.find(([pattern]) => pattern.test(text))?.[1] ?? 'call'
}

/** Labels without the modules' common prefixes, as long as they stay different: `Ledger` for `TicketOffice.Ledger`. */
export function shortLabels(processes: { process: number; label: string }[]): Map<number, string> {
  const cut = (label: string, keep: number): string =>
    label.replace(/^[A-Z]\w*(?:\.[A-Z]\w*)+/, (module) => module.split('.').slice(-keep).join('.'))
  const uses = new Map<string, Set<string>>()
  for (const { label } of processes) {
    const short = cut(label, 1)
    uses.set(short, (uses.get(short) ?? new Set()).add(label))
  }
  return new Map(
    processes.map(({ process, label }) => {
      const short = cut(label, 1)
      return [process, uses.get(short)?.size === 1 ? short : cut(label, 2)]
    }),
  )
}
