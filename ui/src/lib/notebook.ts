import { markdown } from './export'
import type { Moment } from './types'
import { exact } from './time'

/** Moments that somebody chose, each with a line of text. */
export interface Entry {
  moment: Moment
  process: string // what a person calls it
  label: string // what happened there, as recorded
  note: string
}

/** The entry at `from` moved to `to`; a place outside of the list changes nothing. */
export function moved(entries: readonly Entry[], from: number, to: number): Entry[] {
  const next = [...entries]
  if (to < 0 || to >= next.length) return next
  const [one] = next.splice(from, 1)
  if (one) next.splice(to, 0, one)
  return next
}

export function toMarkdown(
  name: string,
  entries: readonly Entry[],
  link: (moment: Moment) => string,
): string {
  const lines = entries.map((one, index) => {
    const title = [one.process, one.label].filter((text) => text !== '').join(': ')
    const note = one.note.trim() === '' ? '' : `   ${markdown(one.note)}\n`
    return `${index + 1}. **${exact(one.moment.at)}** ${markdown(title)}\n${note}   <${link(one.moment)}>\n`
  })
  return `# Notebook of ${markdown(name)}\n\n${lines.join('\n')}`
}

const number = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** What a browser kept, as far as it can be read. */
export function restored(saved: unknown): Entry[] {
  if (!Array.isArray(saved)) return []
  return saved.flatMap((one: Partial<Entry> | null) => {
    const at = number(one?.moment?.at)
    if (!one?.moment || at === null) return []
    const { process, event, call } = one.moment
    const moment = { at, process: number(process), event: number(event), call: number(call) }
    return [{ moment, process: text(one.process), label: text(one.label), note: text(one.note) }]
  })
}
