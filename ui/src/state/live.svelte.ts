import { api, ApiError } from '../lib/api'
import type { Head } from '../lib/types'
import { focus } from './focus.svelte'
import { asError, recording } from './recording.svelte'
import { edition, traffic } from './resource.svelte'
import { viewport } from './viewport.svelte'

/** Between two looks at the recording's head (ms): while it grows, when it is whole, when there is trouble. */
const LIVE = 150
const WHOLE = 3000
const TROUBLE = 1000

/** The least time between two editions (ms): views need one of their own to draw. */
const BREATH = 300

/** For so long (ms) an edition waits for answers about the one before. */
const PATIENCE = 2000

/** The recording as the server has it now: growing, whole, or out of reach. */
class Live {
  head = $state.raw<Head | null>(null)
  /** Why the server cannot be asked; null when it can. */
  trouble = $state.raw<ApiError | null>(null)
  /** It was growing when the page opened, and is whole now. */
  ended = $state(false)
  readonly on = $derived(this.head !== null && this.head.state !== 'sealed')

  /** Whether the recording is still being made, once the server has said so. */
  readonly known: Promise<boolean>

  #tell: (live: boolean) => void = () => undefined
  #edition: string | null = null
  #renewed = 0

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

  /** Looks at the head again and again, from now on. */
  watch(): void {
    void this.#look().finally(() => setTimeout(() => this.watch(), this.#pause()))
  }

  #pause(): number {
    if (this.trouble) return TROUBLE
    return this.on && !document.hidden ? LIVE : WHOLE
  }

  async #look(): Promise<void> {
    try {
      const head = await api.head()
      const back = this.trouble !== null || recording.error !== null
      if (this.#edition === null) this.#edition = head.edition
      else if (back || head.edition !== this.#edition) {
        if (!back && !this.#rested()) return
        await this.#renew(head)
      }
      this.ended = head.state === 'sealed' && (this.ended || this.on)
      this.head = head
      this.trouble = null
      this.#tell(this.on)
    } catch (reason) {
      this.trouble = asError(reason)
    }
  }

  /** Whether the views have had the time to show the edition before. */
  #rested(): boolean {
    const since = performance.now() - this.#renewed
    return since > BREATH && (traffic.running === 0 || since > PATIENCE)
  }

  async #renew(head: Head): Promise<void> {
    const before = recording.duration
    const whole = head.state === 'sealed'
    await recording.renew()
    this.#edition = head.edition
    this.#renewed = performance.now()
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
}

export const live = new Live()
