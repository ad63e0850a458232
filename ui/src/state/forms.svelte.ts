import { remember, remembered } from './desk.svelte'
import { focus } from './focus.svelte'

const CALLS = 'elixirscope.calls'
const MESSAGES = 'elixirscope.messages'

export const CALL_FORMS = { tree: 'Tree', flame: 'Flame graph', critical: 'Critical path' } as const
export type CallForm = keyof typeof CALL_FORMS
export type MessageForm = 'list' | 'sequence'

const savedCalls = remembered(CALLS).form

/** In what form views show what they show, where they have more than one. Remembered by the browser. */
class Forms {
  calls = $state<CallForm>(savedCalls === 'flame' || savedCalls === 'critical' ? savedCalls : 'tree')
  messages = $state<MessageForm>(remembered(MESSAGES).form === 'sequence' ? 'sequence' : 'list')

  showCalls(form: CallForm): void {
    this.calls = form
    remember(CALLS, { form })
    focus.show('calls')
  }

  showMessages(form: MessageForm): void {
    this.messages = form
    remember(MESSAGES, { ...remembered(MESSAGES), form })
    focus.show('messages')
  }
}

export const forms = new Forms()
