import { Ahead } from '../lib/ahead'
import { api } from '../lib/api'
import { formatAddress, formatMoment, parseAddress } from '../lib/moment'
import { isPanel, type Panel } from '../lib/panels'
import type { Direction, Moment, Picture } from '../lib/types'
import { desk } from './desk.svelte'
import { recording } from './recording.svelte'
import { edition, Resource } from './resource.svelte'
import { viewport } from './viewport.svelte'

/** How a move of the focus enters the browser's history. */
type Move = 'click' | 'step' | 'scrub' | 'follow'

/** What `flow` follows: a variable or value chosen in another view; else the event in focus. */
export interface Origin {
  event?: number
  name?: string
  value?: number
  title: string
  direction?: Direction
}

/** What of a state comes with the picture, where it is shown. */
export const HELD = { parts: 50, versions: 5 }

/** How long (ms) a move of the focus waits for its picture, so that all views change in one frame. */
const SOON = 60

/** Pictures that are kept once they were asked for ahead. */
const KEPT = 8

/** The one focus: every view shows it, every click changes it, the address names it. */
class Focus {
  moment = $state.raw<Moment | null>(null)
  window = $state.raw<[number, number] | null>(null)
  origin = $state.raw<Origin | null>(null)
  /** Which way values are followed: to where they were made, or to where they went. */
  way = $state<Direction>('backward')
  /** Whether the focus stays at the end of a recording that grows. Any other move ends that. */
  following = $state(false)
  readonly picture = new Resource<Picture>()

  /** Where the focus is about to be: the playhead is there already, the views follow when the picture has come. */
  coming = $state.raw<Moment | null>(null)

  #last: Move = 'click'
  #due = false // the history has no entry yet for where the focus is
  #unseen = false // an address named the moment, and not what is in view
  #way: Move = 'click' // how the focus comes to where it is about to be
  #journeys = 0
  readonly #ahead = new Ahead<Picture>(KEPT)
  readonly #beside = new Set<(moment: Moment) => void>()

  /** The process in focus: what follows it need not look again whenever the moment moves. */
  readonly process = $derived(this.moment?.process ?? null)

  /** The event that stepping starts from: the one in focus, else the last before its time. */
  readonly event = $derived(this.moment?.event ?? this.picture.value?.event?.event ?? null)

  /** Moves the focus. Steps in a row and scrubbing make one entry in the history, clicks make one each. */
  go(moment: Moment, move: Move = 'click'): void {
    this.#journeys += 1 // whatever was to come is overtaken
    this.coming = null
    this.#move(moment, move)
  }

  /**
   * As `go`, as soon as the picture of the moment is there: drawing once rather than twice is faster. Of moments that
   * follow each other faster than pictures come, some are passed over.
   */
  soon(moment: Moment, move: Move = 'click'): void {
    const resting = this.coming === null
    this.coming = moment
    this.#way = move
    if (resting) void this.#arrive((this.#journeys += 1))
  }

  async #arrive(journey: number): Promise<void> {
    for (let moment = this.coming; moment !== null; moment = this.coming) {
      const asked = this.ahead(moment)
      await Promise.race([asked, new Promise((late) => setTimeout(late, SOON))])
      if (this.#journeys !== journey) return
      if (this.coming === moment) this.coming = null
      this.#move(moment, this.#way)
      await asked
      if (this.#journeys !== journey) return
    }
  }

  #move(moment: Moment, move: Move): void {
    this.following = move === 'follow'
    if (this.moment && formatMoment(this.moment) === formatMoment(moment)) return
    const entry = move === 'click' || this.#last === 'follow' || this.#last !== move || this.moment === null
    // Until the hand rests the address stays behind (`note`): a new entry leaves the one before as it was last.
    if (entry && this.moment !== null && (this.#last === 'step' || this.#last === 'scrub')) this.#write()
    this.#last = move
    this.moment = moment
    this.#unseen = false
    this.origin = null
    this.#ask()
    if (entry && move !== 'follow') this.#due = location.hash.length > 2 // each would be a moment that nobody chose
  }

  /** A time in the process in focus, or in another one. */
  at(at: number, process: number | null = this.moment?.process ?? null, move: Move = 'click'): void {
    this.go({ at: Math.max(0, Math.round(at)), process, event: null, call: null }, move)
  }

  /** Goes to the end of the recording and stays there while it grows. */
  follow(): void {
    const process = this.moment?.process ?? null
    this.go({ at: recording.duration, process, event: null, call: null }, 'follow')
  }

  /** Stays at the moment in focus while the recording grows. */
  stay(): void {
    this.following = false
    this.#due = location.hash.length > 2
    this.#write()
  }

  /** Another frame of the stack at the same moment. */
  frame(call: number): void {
    const event = this.event
    if (this.moment) this.go({ ...this.moment, event, call })
  }

  /** Brings a panel to the front, wherever it stands. */
  show(panel: Panel): void {
    desk.show(panel)
    this.#write()
  }

  /** Sets the focus window: the stretch of time that scopes the lists of all other views; null is none. */
  scope(window: [number, number] | null): void {
    this.window = window
    this.#write()
  }

  trace(origin: Origin): void {
    this.origin = origin
    this.way = origin.direction ?? 'backward'
    this.show('flow')
  }

  /** Takes the focus from the address, now and whenever it changes. */
  listen(): void {
    addEventListener('popstate', () => this.#read())
    this.#read()
  }

  /**
   * Lets the address name what is shown, and the history have the entry that is due. Called when the hand rests: each
   * entry takes the browser 15 ms of processor time, which the views of the moment would wait for.
   */
  note(): void {
    if (!this.following) this.#write()
  }

  #read(): void {
    const found = parseAddress(location.hash)
    this.#due = false
    this.window = found.window
    if (!found.moment) return
    if (isPanel(found.view)) desk.show(found.view)
    if (isPanel(found.beside)) desk.show(found.beside)
    if (found.zoom) viewport.restore({ from: found.zoom[0], to: found.zoom[1] })
    this.#last = 'click'
    this.origin = null
    this.following = false
    this.moment = { ...found.moment, at: found.moment.at ?? -1 }
    this.#unseen = !found.zoom
    this.#reveal()
    this.#ask()
  }

  /** Brings a moment that an address named into view, as soon as its time is known. */
  #reveal(): void {
    if (!this.#unseen || !this.moment || this.moment.at < 0 || viewport.span <= 1) return
    this.#unseen = false
    viewport.reveal(this.moment.at)
  }

  #write(): void {
    const entry = this.#due
    this.#due = false
    const { bottom, lower } = desk.arrangement.front
    const view = viewport.zoomed ? ([viewport.view.from, viewport.view.to] as [number, number]) : null
    const address = formatAddress({
      moment: this.moment,
      view: bottom,
      beside: lower,
      window: this.window,
      zoom: view,
    })
    if (address === location.hash) return
    if (entry) history.pushState(null, '', address)
    else history.replaceState(null, '', address)
  }

  #ask(): void {
    const moment = this.moment
    if (!moment) return
    const { at, process, event, call } = moment
    const shown = this.picture.value?.moment
    if (at < 0 && event !== null && shown?.event === event) {
      // A link to the event that is shown already: its picture will not be asked for again.
      this.moment = { at: shown.at, process: process ?? shown.process, event, call }
      this.#reveal()
    }
    const here = at < 0 || process === null ? undefined : this.#ahead.here(keyOf(moment))
    if (here) return this.picture.take(formatMoment(moment), here)
    this.picture.load(formatMoment(moment), async (signal) => {
      const picture = await (this.#ahead.of(keyOf(moment)) ?? pictureOf(moment, signal))
      // A link names an event alone: its time and process come with the picture.
      if (this.moment === moment && (at < 0 || process === null)) {
        this.moment = {
          at: at < 0 ? picture.moment.at : at,
          process: process ?? picture.moment.process,
          event,
          call,
        }
        this.#reveal()
      }
      return picture
    })
  }

  /**
   * Asks for the picture of a moment that is likely to be chosen next, and for what views show beside it. Fulfilled when
   * the picture is there, or given up.
   */
  ahead(moment: Moment): Promise<void> {
    const picture = this.#ahead.ask(keyOf(moment), () => pictureOf(moment))
    for (const ask of this.#beside) ask(moment)
    return picture
  }

  /** Has a view ask for what it shows of a moment before the focus is there; gives what ends that. */
  accompany(ask: (moment: Moment) => void): () => void {
    this.#beside.add(ask)
    return () => this.#beside.delete(ask)
  }

  /** Asks for the picture anew; `renumbered`: events may have other numbers now, times and processes are the same. */
  again(renumbered: boolean): void {
    if (renumbered && this.moment && this.moment.at >= 0)
      this.moment = { ...this.moment, event: null, call: null }
    this.#ask()
  }

  retry(): void {
    this.picture.retry()
    this.#ask()
  }
}

const keyOf = (moment: Moment): string => `${edition.count} ${desk.inFront('state')} ${formatMoment(moment)}`

function pictureOf({ at, process, event, call }: Moment, signal?: AbortSignal): Promise<Picture> {
  const question = at < 0 ? { event, call } : { at, process, event, call }
  return api.frame(question, desk.inFront('state') ? HELD : {}, signal)
}

export const focus = new Focus()
