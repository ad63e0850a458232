import { type Entry, moved, restored } from '../lib/notebook'
import { formatMoment } from '../lib/moment'
import { remember, remembered } from './desk.svelte'
import { focus } from './focus.svelte'
import { menu } from './menu.svelte'
import { recording } from './recording.svelte'

/** The notebook of the open recording: kept by the browser, under the recording's name and time. */
class Notebook {
  entries = $state.raw<readonly Entry[]>([])
  /** The entry whose note is to be written now. */
  fresh = $state<number | null>(null)

  #key: string | null = null

  /** Reads what was kept, once the recording is known. */
  open(): void {
    const info = recording.info
    if (!info || this.#key !== null) return
    this.#key = `elixirscope.notebook.${info.name}.${info.started_unix_ns}`
    this.entries = restored(remembered(this.#key).entries)
  }

  /** Keeps the moment in focus; one that is kept already is only shown. */
  keep(): void {
    this.open()
    const moment = focus.moment
    if (!moment || moment.at < 0) return
    const name = formatMoment(moment)
    const known = this.entries.findIndex((one) => formatMoment(one.moment) === name)
    focus.show('notebook')
    if (known >= 0) {
      this.fresh = known
      return
    }
    const event = focus.picture.value?.event
    const entry: Entry = {
      moment,
      process: moment.process === null ? '' : recording.label(moment.process),
      label: event?.label ?? '',
      note: '',
    }
    this.#set([...this.entries, entry])
    this.fresh = this.entries.length - 1
    menu.say('Kept in the notebook')
  }

  note(index: number, note: string): void {
    this.#set(this.entries.map((one, at) => (at === index ? { ...one, note } : one)))
  }

  move(from: number, to: number): void {
    this.#set(moved(this.entries, from, to))
  }

  remove(index: number): void {
    this.#set(this.entries.filter((_, at) => at !== index))
  }

  #set(entries: readonly Entry[]): void {
    this.entries = entries
    if (this.#key !== null) remember(this.#key, { entries })
  }
}

export const notebook = new Notebook()
