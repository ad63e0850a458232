/** A small reader of Elixir for colouring: one line at a time, with what an earlier line left open. */

export type TokenKind =
  | 'plain'
  | 'keyword'
  | 'atom'
  | 'string'
  | 'number'
  | 'comment'
  | 'module'
  | 'call'
  | 'attribute'
  | 'operator'

export interface Token {
  kind: TokenKind
  text: string
}

/** What closes the string or heredoc that is open at the end of a line, null outside of one. */
export type Open = string | null

const KEYWORDS = new Set(
  (
    'def defp defmodule defmacro defmacrop defstruct defimpl defprotocol defguard defdelegate defexception use ' +
    'import alias require do end fn if else unless case cond with for when and or not in after rescue catch ' +
    'raise throw try receive quote unquote true false nil super'
  ).split(' '),
)

const PAIRS: Record<string, string> = { '(': ')', '[': ']', '{': '}', '<': '>' }

const RULES: [TokenKind, RegExp][] = [
  ['comment', /#.*/y],
  ['atom', /:(?:"(?:[^"\\]|\\.)*"|[A-Za-z_][\w@]*[?!]?|[+\-*/<>=!&|^~.]+)/y],
  ['atom', /[A-Za-z_][\w]*[?!]?:(?=\s|$)/y],
  ['number', /0[xob][\da-fA-F_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:e[+-]?\d+)?|\?\\?./y],
  ['attribute', /@[a-z_]\w*/y],
  ['module', /[A-Z]\w*(?:\.[A-Z]\w*)*/y],
  ['keyword', /[a-z_]\w*[?!]?/y],
  ['operator', /[|&=<>!+\-*/^.~\\]+/y],
  ['plain', /\s+|./y],
]

/** The tokens of one line, and what is still open after it. Their texts joined are the line. */
export function tokens(line: string, open: Open = null): { tokens: Token[]; open: Open } {
  const found: Token[] = []
  let at = 0
  const push = (kind: TokenKind, text: string): void => {
    if (text === '') return
    const last = found[found.length - 1]
    if (last && last.kind === kind && (kind === 'plain' || kind === 'string')) last.text += text
    else found.push({ kind, text })
    at += text.length
  }

  if (open !== null) {
    const end = closing(line, 0, open)
    push('string', line.slice(0, end === -1 ? line.length : end))
    if (end === -1) return { tokens: found, open }
  }
  while (at < line.length) {
    const start = /(?:~[a-zA-Z])?("""|'''|"|')|~[a-zA-Z]([/|([{<])/y
    start.lastIndex = at
    const opened = start.exec(line)
    if (opened) {
      const mark = opened[1] ?? PAIRS[opened[2] ?? ''] ?? opened[2] ?? '"'
      const end = closing(line, at + opened[0].length, mark)
      push('string', line.slice(at, end === -1 ? line.length : end))
      if (end === -1) return { tokens: found, open: mark }
      continue
    }
    for (const [kind, pattern] of RULES) {
      pattern.lastIndex = at
      const match = pattern.exec(line)
      if (!match) continue
      push(refine(kind, match[0], line, at), match[0])
      break
    }
  }
  return { tokens: found, open: null }
}

function refine(kind: TokenKind, text: string, line: string, at: number): TokenKind {
  if (kind !== 'keyword') return kind
  const field = line[at - 1] === '.'
  if (KEYWORDS.has(text) && !field) return 'keyword'
  return line[at + text.length] === '(' ? 'call' : 'plain'
}

function closing(line: string, from: number, mark: string): number {
  for (let index = from; index < line.length; index += 1) {
    if (line[index] === '\\') index += 1
    else if (line.startsWith(mark, index)) return index + mark.length
  }
  return -1
}

/** All lines of a chunk of source, strings and heredocs carried over line ends. */
export function highlight(lines: string[]): Token[][] {
  let open: Open = null
  return lines.map((line) => {
    const read = tokens(line, open)
    open = read.open
    return read.tokens
  })
}
