import { api } from '../lib/api'
import type { HitPage, SearchResult } from '../lib/types'
import { type Query, looksLikePattern } from '../lib/finder'
import { focus } from './focus.svelte'
import { Resource } from './resource.svelte'
import { scope } from './scope.svelte'

const PAGE = 100

/** The one search for values and names: asked from the view Find, from the palette, and from the menus of values. */
class Finder {
  query = $state.raw<Query>({ text: '', as: 'text', kinds: [] })
  limit = $state(PAGE)
  /** Somebody asked from elsewhere: the view takes the text into its field, and the keyboard's focus. */
  called = $state(false)
  readonly hits = new Resource<HitPage>()
  readonly names = new Resource<{ results: SearchResult[] }>()

  /** Asks from another view: brings the view Find to the front. */
  look(query: { text: string; as?: Query['as'] }): void {
    this.seek({ text: query.text, as: query.as ?? looksLikePattern(query.text), kinds: [] })
    this.open()
  }

  /** Brings the view Find to the front, its field ready to type. */
  open(): void {
    this.called = true
    focus.show('find')
  }

  seek(query: Query): void {
    this.query = query
    this.limit = PAGE
    this.#ask('')
  }

  /** The same again: the focus window is another. */
  again(): void {
    this.#ask('')
  }

  /** More of the hits, or on through the values that the server had no time for. */
  more(): void {
    if (this.hits.value && this.hits.value.hits.length >= this.limit) this.limit *= 2
    this.#ask(String(this.hits.value?.searched ?? 0))
  }

  #ask(again: string): void {
    const { text, as, kinds } = this.query
    if (text.trim() === '') {
      this.hits.clear()
      this.names.clear()
      return
    }
    const question = {
      q: text.trim(),
      as,
      kinds: kinds.join(','),
      limit: this.limit,
      offset: 0,
      ...scope.window,
    }
    this.hits.load(JSON.stringify([question, again]), (signal) => api.find(question, signal))
    if (as === 'text' && text.trim().length > 1)
      this.names.load(text.trim(), (signal) => api.search(text.trim(), signal))
    else this.names.clear()
  }
}

export const finder = new Finder()
