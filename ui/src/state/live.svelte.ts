import { api, ApiError } from '../lib/api'
import type { Head } from '../lib/types'
import { focus } from './focus.svelte'
import { asError, recording } from './recording.svelte'
import { atRest, edition } from './resource.svelte'
import { viewport } from './viewport.svelte'

/** Between two looks at the recording's head (ms), but for one that grows and is looked at: there the server waits. */
const SEALING = 200
const WHOLE = 3000
const TROUBLE = 1000

/** The least time between two editions (ms). */
const BREATH = 100

/** Drawing an edition may take one part in so many of the time: the machine is the program's. */
const SHARE = 2

/** For so long (ms) an edition waits for answers about the one before. */
const PATIENCE = 2000

/** The recording as the server has it now: growing, whole, or out of reach. */
class Live {
  head = $state.raw<Head | null>(null)
  /** Why the server cannot be asked; null when it can. */
  trouble = $state.raw<ApiError | null>(null)
  /** It was growing when the page opened, and is whole now. */
  ended = $state(false)
  /** For so many whole seconds nothing has come. */
  quiet = $state(0)
  readonly on = $derived(this.head !== null && this.head.state !== 'sealed')

  /** Whether the recording is still being made, once the server has said so. */
  readonly known: Promise<boolean>

  #tell: (live: boolean) => void = () => undefined
  #edition: string | null = null
  #news = performance.now() // when the last event came
  #began: number | null = null // showing the latest edition

  constructor() {
    this.known = new Promise((resolve) => (this.#tell = resolve))
  }

  /** Follows the end, or stays where it is: the recording goes on either way. */
  toggle(): void {
    if (!this.on) return
    if (focus.following) focus.stay()
    else {
      focus.follow()
      viewport.reveal(recording.duration)
    }
  }

  /** Looks at the head again and again, from now on: while it grows the server answers when there is more. */
  async watch(): Promise<void> {
    for (;;) {
      await this.#look()
      await this.#rest()
    }
  }

  async #look(): Promise<void> {
    try {
      const head = await api.head(this.#edition)
      const back = this.trouble !== null || recording.error !== null
      if (this.#edition === null) this.#edition = head.edition
      else if (back || head.edition !== this.#edition) await this.#renew(head)
      if (head.events !== this.head?.events) this.#news = performance.now()
      this.quiet = Math.floor((performance.now() - this.#news) / 1000)
      this.ended = head.state === 'sealed' && (this.ended || this.on)
      this.head = head
      this.trouble = null
      this.#tell(this.on)
    } catch (reason) {
      this.trouble = asError(reason)
    }
  }

  async #renew(head: Head): Promise<void> {
    this.#began = performance.now()
    const before = recording.duration
    const whole = head.state === 'sealed'
    if (whole) recording.forget()
    await recording.renew()
    this.#edition = head.edition
    edition.count += 1
    if (focus.following) {
      viewport.slide(before)
      focus.follow()
    } else focus.again(whole)
    if (whole) {
      focus.following = false
      await recording.investigate()
    }
  }

  /** Until the head is to be looked at again. */
  async #rest(): Promise<void> {
    if (this.trouble) return after(TROUBLE)
    if (this.head?.state !== 'recording') return after(this.on ? SEALING : WHOLE)
    if (document.hidden) return seen(WHOLE)
    if (this.#began === null) return
    // Until the views have shown the edition, and the machine had time for other things.
    await drawn(PATIENCE)
    const took = performance.now() - this.#began
    this.#began = null
    await after(Math.max(BREATH, SHARE * took) - took)
  }
}

const after = (ms: number): Promise<void> => new Promise((then) => setTimeout(then, ms))

/** After so many ms, or as soon as somebody looks at the page again. */
async function seen(ms: number): Promise<void> {
  const looked = new AbortController()
  const { signal } = looked
  await Promise.race([
    after(ms),
    new Promise((then) => document.addEventListener('visibilitychange', then, { signal })),
  ])
  looked.abort()
}

/** When nothing is asked for and what was is drawn; after so many ms at the latest. */
async function drawn(ms: number): Promise<void> {
  let off = (): void => undefined
  await Promise.race([after(ms), new Promise<void>((then) => (off = atRest(then)))])
  off()
}

export const live = new Live()
