/** What a line of recorded source defines, read without a parser: enough to ask why it never ran. */

export interface Definition {
  module: string | null // of the nearest `defmodule` above that encloses it
  name: string
  arity: number
}

const HEAD = /^(\s*)defp?\s+([a-z_]\w*[?!]?)\s*(\(?)/

/** The function that line `index` begins to define; null when it defines none. */
export function definition(lines: readonly string[], index: number): Definition | null {
  const found = HEAD.exec(lines[index] ?? '')
  if (!found) return null
  const [head, indent = '', name = '', open] = found
  const arity = open
    ? parameters(
        lines
          .slice(index, index + 12)
          .join('\n')
          .slice(head.length),
      )
    : 0
  return arity === null ? null : { module: enclosing(lines, index, indent.length), name, arity }
}

/**
 * The functions of an excerpt that never ran, by the number of the line they begin at, as `Mod.fun/2`. A head without
 * a hit is not enough (a clause that binds nothing has none): nothing in its body may have run either.
 */
export function idle(
  lines: readonly string[],
  first: number,
  ran: ReadonlyMap<number, number>,
  module: string | null,
): Map<number, string> {
  const found = new Map<number, string>()
  lines.forEach((_, index) => {
    const one = definition(lines, index)
    const where = one?.module ?? module
    if (!one || !where || body(lines, index).some((line) => ran.has(first + line))) return
    found.set(first + index, `${where}.${one.name}/${one.arity}`)
  })
  return found
}

/** The lines of a definition: up to the first that stands as far out as its head does. */
function body(lines: readonly string[], index: number): number[] {
  const indent = (line: string): number => line.search(/\S|$/)
  const head = indent(lines[index] ?? '')
  const found = [index]
  for (let next = index + 1; next < lines.length; next++) {
    const line = lines[next] ?? ''
    if (line.trim() !== '' && indent(line) <= head && !/^\s*\)/.test(line)) break
    found.push(next)
  }
  return found
}

/** How many parameters stand before the parenthesis closes; null when it does not close in sight. */
function parameters(text: string): number | null {
  let depth = 0
  let commas = 0
  let anything = false
  let quote: string | null = null
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (quote) {
      if (char === '\\') at++
      else if (char === quote) quote = null
    } else if (char === '"' || char === "'") quote = char
    else if (char === '#' && text[at - 1] !== '?') at = Math.max(at, text.indexOf('\n', at) - 1)
    else if ('([{'.includes(char)) depth++
    else if (text.startsWith('<<', at)) [depth, at] = [depth + 1, at + 1]
    else if (text.startsWith('>>', at)) [depth, at] = [depth - 1, at + 1]
    else if (char === ')' && depth === 0) return anything ? commas + 1 : 0
    else if (')]}'.includes(char)) depth--
    else if (char === ',' && depth === 0) commas++
    if (char.trim() !== '') anything = true
  }
  return null
}

function enclosing(lines: readonly string[], index: number, indent: number): string | null {
  for (let above = index - 1; above >= 0; above--) {
    const found = /^(\s*)defmodule\s+([A-Z][\w.]*)/.exec(lines[above] ?? '')
    if (found && (found[1] ?? '').length < indent) return found[2] ?? null
  }
  return null
}
