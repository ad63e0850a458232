/** What the view Find asks for, and how a text is meant. */

export const KINDS = ['argument', 'result', 'binding', 'message', 'state', 'exception'] as const
export type Kind = (typeof KINDS)[number]

export interface Query {
  text: string
  as: 'pattern' | 'text'
  kinds: readonly Kind[] // none: all
}

/** Whether a person who types this means a shape of values, as the server decides it (docs/search.md). */
export function looksLikePattern(text: string): Query['as'] {
  const trimmed = text.trim()
  const pattern =
    /^-?\d+(\.\d+)?$/.test(trimmed) ||
    /^[%{[<:"~]/.test(trimmed) ||
    trimmed.includes(' | ') ||
    trimmed.includes('<>') ||
    trimmed.startsWith('pid(')
  return pattern ? 'pattern' : 'text'
}

/** Whether what IEx prints for a value is a pattern too: what cannot be written (a reference, a function) is not. */
export const writable = (text: string): boolean => !/#[A-Z]\w*</.test(text) && !text.endsWith('…')

/** `Mod.fun/2`, when a text names a function with its arity. */
export function namedFunction(text: string): string | null {
  const found = /^(?:Elixir\.)?([A-Z]\w*(?:\.[A-Z]\w*)*\.[a-z_]\w*[?!]?\/\d{1,3})$/.exec(text.trim())
  return found?.[1] ?? null
}

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']', '(': ')', '<<': '>>' }

/** Whether a pattern still lacks the end of a string or of a bracket: who types it is not to be told so. */
export function unfinished(pattern: string): boolean {
  const open: string[] = []
  for (const [token] of pattern.matchAll(/"(?:\\.|[^"\\])*"?|<<|>>|[{}[\]()]/gs)) {
    if (token.startsWith('"')) {
      if (token.length === 1 || !/(?:^|[^\\])(?:\\\\)*"$/s.test(token.slice(1))) return true
    } else if (CLOSING[token]) open.push(CLOSING[token])
    else if (open.pop() !== token) return false // one too many, or the wrong one: that is to be told
  }
  return open.length > 0
}
