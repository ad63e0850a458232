/** Help with SQL: what may stand at the caret, and where an error lies. */

export interface Schema {
  views: { name: string; meaning: string; columns: { name: string; meaning: string }[] }[]
}

/** The functions of DuckDB that questions about a recording need most. */
const FUNCTIONS = (
  'count sum avg min max median quantile_cont coalesce contains starts_with lower upper length regexp_matches ' +
  'regexp_extract string_agg list row_number rank lag lead first last arg_max arg_min abs round floor greatest least'
).split(' ')

export interface Completion {
  text: string
  kind: 'table' | 'column' | 'function' | 'keyword'
  about: string
}

const KEYWORDS = (
  'select from where group by order by limit join left join on using having as and or not in is null between like ' +
  'ilike case when then else end desc asc distinct with union all over partition by'
).split(' ')
const WORDS = [...new Set(KEYWORDS)]

/** Whether a query is about the stretch of time in focus. */
export const isScoped = (sql: string): boolean => bound(sql, [0, 0]) !== sql

/** The query with the ends of a stretch of time (ns) for `$from` and `$to`; what stands in quotes or comments stays. */
export const bound = (sql: string, [from, to]: readonly [number, number]): string =>
  sql.replace(/'(?:[^']|'')*'|"[^"]*"|--.*|\$(from|to)\b/g, (found, end?: string) =>
    end === undefined ? found : String(end === 'from' ? Math.floor(from) : Math.ceil(to)),
  )

/** The word before the caret, and the qualifier (`c.`) in front of it. */
export function wordAt(sql: string, caret: number): { from: number; word: string; qualifier: string | null } {
  const before = /(?:(\w+)\.)?(\w*)$/.exec(sql.slice(0, caret))
  const word = before?.[2] ?? ''
  return { from: caret - word.length, word, qualifier: before?.[1] ?? null }
}

/** Which tables the query names, by themselves and by their aliases. */
export function tables(sql: string, schema: Schema): Map<string, string> {
  const known = new Set(schema.views.map((view) => view.name))
  const found = new Map<string, string>()
  for (const [, table = '', alias] of sql.matchAll(/\b(?:from|join)\s+(\w+)(?:\s+(?:as\s+)?(\w+))?/gi)) {
    if (!known.has(table)) continue
    found.set(table, table)
    if (alias && !WORDS.includes(alias.toLowerCase())) found.set(alias, table)
  }
  return found
}

/** What may be meant: tables after `from` and `join`, else columns of the tables named, functions and keywords. */
export function completions(sql: string, caret: number, schema: Schema): Completion[] {
  const { from, word, qualifier } = wordAt(sql, caret)
  const named = tables(sql, schema)
  const columns = (table: string): Completion[] =>
    (schema.views.find((view) => view.name === table)?.columns ?? []).map((column) => ({
      text: column.name,
      kind: 'column',
      about: column.meaning || table,
    }))
  let all: Completion[]
  if (qualifier !== null) {
    all = columns(named.get(qualifier) ?? qualifier)
  } else if (/\b(?:from|join)\s+$/i.test(sql.slice(0, from))) {
    all = schema.views.map((view) => ({ text: view.name, kind: 'table', about: view.meaning }))
  } else {
    const inside = [...new Set(named.values())].flatMap(columns)
    all = [
      ...inside,
      ...(inside.length === 0 ? schema.views.flatMap((view) => columns(view.name)) : []),
      ...FUNCTIONS.map((text): Completion => ({ text, kind: 'function', about: 'function' })),
      ...WORDS.map((text): Completion => ({ text, kind: 'keyword', about: '' })),
    ]
  }
  const wanted = word.toLowerCase()
  const seen = new Set<string>()
  const fits = all.filter(({ text }) => {
    if (seen.has(text) || !text.toLowerCase().startsWith(wanted) || text.toLowerCase() === wanted)
      return false
    seen.add(text)
    return true
  })
  return fits.slice(0, 12)
}

/** Where the server's message says that the error lies: a stretch of the query. Null when it says nothing. */
export function errorAt(
  message: string,
  sql: string,
): { from: number; to: number; line: number; column: number } | null {
  const found = /^LINE (\d+): (.*)\n( *)(\^+)/m.exec(message)
  if (!found) return null
  const [, number = '1', text = '', before = '', carets = ''] = found
  const line = Number(number)
  const lines = sql.split('\n')
  const source = lines[line - 1]
  if (source === undefined) return null
  const column = before.length - `LINE ${number}: `.length
  // A long line is shown in part: then the word itself says where it is.
  const word = text.slice(column, column + carets.length)
  const at = source.startsWith(text.slice(0, 20)) ? column : source.indexOf(word)
  if (at < 0) return null
  const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + at
  return { from: start, to: Math.min(sql.length, start + carets.length), line, column: at + 1 }
}
