import { api } from '../lib/api'
import type { WhyNot, WhyNotQuestion } from '../lib/types'
import { focus } from './focus.svelte'
import { Resource } from './resource.svelte'

/** A question about what did not happen, asked from a menu and answered in the view Why?. */
class Inquiry {
  title = $state<string | null>(null)
  readonly answer = new Resource<WhyNot>({ follow: false })

  ask(title: string, question: WhyNotQuestion): void {
    this.title = title
    this.answer.retry() // a verdict may have been the best known so far: asked again, it is looked for again
    this.answer.load(JSON.stringify(question), (signal) => api.whynot(question, signal))
    focus.show('why')
  }

  close(): void {
    this.title = null
    this.answer.clear()
  }
}

export const inquiry = new Inquiry()
