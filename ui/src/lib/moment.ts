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

/** Everything that a link reopens: the moment, the panels in front, the focus window, the stretch in view. */
export interface Address {
  moment: Named | null
  view: string | null // below the timeline
  beside: string | null // at the lower right
  window: [number, number] | null
  zoom: [number, number] | null
}

type Written = Omit<Address, 'moment'> & { moment: Moment | null }

export function formatAddress({ moment, view, beside, window, zoom }: Written): string {
  const query = new URLSearchParams()
  if (view) query.set('view', view)
  if (beside) query.set('beside', beside)
  if (window) query.set('window', range(window))
  if (zoom) query.set('zoom', range(zoom))
  const text = query.toString()
  return `#/${moment ? formatMoment(moment) : ''}${text ? `?${text}` : ''}`
}

const range = ([from, to]: [number, number]): string => `${Math.max(0, Math.round(from))}-${Math.round(to)}`

function readRange(text: string | null): [number, number] | null {
  const found = /^(\d{1,15})-(\d{1,15})$/.exec(text ?? '')
  const [from, to] = [Number(found?.[1]), Number(found?.[2])]
  return found && to > from ? [from, to] : null
}

export function parseAddress(hash: string): Address {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?')
  const parameters = new URLSearchParams(query)
  return {
    moment: parseMoment(path),
    view: parameters.get('view'),
    beside: parameters.get('beside'),
    window: readRange(parameters.get('window')),
    zoom: readRange(parameters.get('zoom')),
  }
}
