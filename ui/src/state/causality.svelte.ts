import { remember, remembered } from './desk.svelte'
import { focus } from './focus.svelte'

const KEY = 'elixirscope.causality'
const FORMS = ['chain', 'spacetime'] as const
export type Form = (typeof FORMS)[number]

/** How the view Causes shows what led to what, and the event that others are compared with. */
class Causality {
  form = $state<Form>(remembered(KEY).form === 'spacetime' ? 'spacetime' : 'chain')
  /** Kept while one walks along its chain; every other event in focus is compared with it. */
  pinned = $state<number | null>(null)
  label = $state('')
  /** When the pinned event was: the times of its chain are told from there. */
  at = $state<number | null>(null)

  /** What the view is about. */
  readonly event = $derived(this.pinned ?? focus.event)

  show(form: Form): void {
    this.form = form
    remember(KEY, { form })
    focus.show('causes')
  }

  /** Pins the event in focus, or lets go of the one that is pinned. */
  pin(): void {
    this.pinned = this.pinned === null ? focus.event : null
    this.at = this.pinned === null ? null : (focus.moment?.at ?? null)
    const event = focus.picture.value?.event
    this.label = event && event.event === this.pinned ? event.label : ''
    focus.show('causes')
  }
}

export const causality = new Causality()
