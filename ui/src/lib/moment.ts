import type { Moment } from './types'

/** A moment as a link names it: by its event alone, its time and process are then asked for. */
export type Named = Pick<Moment, 'process' | 'event' | 'call'> & { at: number | null }

const EVENT = /^e(\d{1,15})(?:\.c(\d{1,15}))?$/
const TIME = /^t?(\d{1,15})(?:ns)?(?:@(\d{1,9}))?$/

/** `e18204`, `e18204.c18100` (a frame of its stack), or `44218317ns@12` (a time, and a process). */
export function formatMoment(moment: Moment): string {
  if (moment.event !== null) return `e${moment.event}${moment.call === null ? '' : `.c${moment.call}`}`
  return `${Math.round(moment.at)}ns${moment.process === null ? '' : `@${moment.process}`}`
}

/** The moment that a text names, null when it names none. */
export function parseMoment(text: string): Named | null {
  const event = EVENT.exec(text)
  if (event) {
    return { at: null, process: null, event: Number(event[1]), call: event[2] ? Number(event[2]) : null }
  }
  const time = TIME.exec(text)
  if (time) return { at: Number(time[1]), process: time[2] ? Number(time[2]) : null, event: null, call: null }
  return null
}

/** The page's address: a moment, the view below the timeline, and the window that scopes the views. */
export interface Address {
  moment: Named | null
  view: string | null
  window: [number, number] | null
}

export function formatAddress(
  moment: Moment | null,
  view: string | null,
  window: [number, number] | null,
): string {
  const query = new URLSearchParams()
  if (view) query.set('view', view)
  if (window) query.set('window', `${Math.round(window[0])}-${Math.round(window[1])}`)
  const text = query.toString()
  return `#/${moment ? formatMoment(moment) : ''}${text ? `?${text}` : ''}`
}

export function parseAddress(hash: string): Address {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?')
  const parameters = new URLSearchParams(query)
  const window = /^(\d{1,15})-(\d{1,15})$/.exec(parameters.get('window') ?? '')
  const from = Number(window?.[1])
  const to = Number(window?.[2])
  return {
    moment: parseMoment(path),
    view: parameters.get('view'),
    window: window && to > from ? [from, to] : null,
  }
}
