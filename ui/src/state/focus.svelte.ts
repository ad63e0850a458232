import { api } from '../lib/api'
import { formatAddress, formatMoment, parseAddress } from '../lib/moment'
import type { Moment, Picture } from '../lib/types'
import { Resource } from './resource.svelte'

export const VIEWS = ['messages', 'calls', 'constellation', 'causes', 'flow', 'query'] as const
export type View = (typeof VIEWS)[number]

/** How a move of the focus enters the browser's history. */
type Move = 'click' | 'step' | 'scrub'

/** What `flow` follows: a variable or value chosen in another view; else the event in focus. */
export interface Origin {
  event?: number
  name?: string
  value?: number
  title: string
}

/** The one focus: every view shows it, every click changes it, the address names it. */
class Focus {
  moment = $state.raw<Moment | null>(null)
  window = $state.raw<[number, number] | null>(null)
  view = $state<View>('messages')
  origin = $state.raw<Origin | null>(null)
  readonly picture = new Resource<Picture>()

  #last: Move = 'click'

  /** The event that stepping starts from: the one in focus, else the last before its time. */
  readonly event = $derived(this.moment?.event ?? this.picture.value?.event?.event ?? null)

  /** Moves the focus. Steps in a row and scrubbing make one entry in the history, clicks make one each. */
  go(moment: Moment, move: Move = 'click'): void {
    if (this.moment && formatMoment(this.moment) === formatMoment(moment)) return
    const entry = move === 'click' || this.#last !== move || this.moment === null
    this.#last = move
    this.moment = moment
    this.origin = null
    this.#write(entry && location.hash.length > 2)
    this.#ask()
  }

  /** A time in the process in focus, or in another one. */
  at(at: number, process: number | null = this.moment?.process ?? null, move: Move = 'click'): void {
    this.go({ at: Math.max(0, Math.round(at)), process, event: null, call: null }, move)
  }

  /** Another frame of the stack at the same moment. */
  frame(call: number): void {
    const event = this.event
    if (this.moment) this.go({ ...this.moment, event, call })
  }

  show(view: View): void {
    if (this.view === view) return
    this.view = view
    this.#write(false)
  }

  scope(window: [number, number] | null): void {
    this.window = window
    this.#write(false)
  }

  follow(origin: Origin): void {
    this.origin = origin
    this.show('flow')
  }

  /** Takes the focus from the address, now and whenever it changes; answers whether it named a moment. */
  listen(): boolean {
    addEventListener('popstate', () => this.#read())
    return this.#read()
  }

  #read(): boolean {
    const found = parseAddress(location.hash)
    this.view = VIEWS.find((view) => view === found.view) ?? 'messages'
    this.window = found.window
    if (!found.moment) return false
    this.#last = 'click'
    this.origin = null
    this.moment = { ...found.moment, at: found.moment.at ?? -1 }
    this.#ask()
    return true
  }

  #write(entry: boolean): void {
    const address = formatAddress(this.moment, this.view === 'messages' ? null : this.view, this.window)
    if (entry) history.pushState(null, '', address)
    else history.replaceState(null, '', address)
  }

  #ask(): void {
    const moment = this.moment
    if (!moment) return
    const { at, process, event, call } = moment
    this.picture.load(formatMoment(moment), async (signal) => {
      const question = at < 0 ? { event, call } : { at, process, event, call }
      const picture = await api.frame(question, signal)
      // A link names an event alone: its time and process come with the picture.
      if (this.moment === moment && (at < 0 || process === null)) {
        this.moment = {
          at: at < 0 ? picture.moment.at : at,
          process: process ?? picture.moment.process,
          event,
          call,
        }
      }
      return picture
    })
  }

  retry(): void {
    this.picture.retry()
    this.#ask()
  }
}

export const focus = new Focus()
