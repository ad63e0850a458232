import { api } from '../lib/api'
import { mermaid } from '../lib/export'
import { formatMoment } from '../lib/moment'
import type { Message, Moment, Value } from '../lib/types'
import { type Choice, menu } from './menu.svelte'
import { recording } from './recording.svelte'

/** What can be done with a recorded value, a message, a moment: the entries of their menus. */

/** The address of the page at a moment. */
export const linkTo = (moment: Moment): string =>
  `${location.origin}${location.pathname}#/${formatMoment(moment)}`

export const eventLink = (event: number): string => linkTo({ at: 0, process: null, event, call: null })

/** The value in full, as the server prints it; a part of a value has no more than its text. */
async function whole(value: Value): Promise<string> {
  return value.id === null ? value.text : (await api.value(value.id)).text
}

async function copyWhole(value: Value): Promise<void> {
  try {
    await menu.copy(await whole(value), 'the Elixir term')
  } catch (reason) {
    menu.say(reason instanceof Error ? reason.message : String(reason))
  }
}

export function valueChoices(value: Value): Choice[] {
  if (value.redacted) return []
  return [{ title: 'Copy as Elixir term', run: () => void copyWhole(value) }]
}

export function momentChoices(moment: Moment): Choice[] {
  return [{ title: 'Copy link to the moment', run: () => void menu.copy(linkTo(moment), 'the link') }]
}

export const messageMoment = (one: Message): Moment => ({
  at: one.sent_at ?? one.received_at ?? -1,
  process: one.send_event === null ? one.to : one.from,
  event: one.send_event ?? one.receive_event,
  call: null,
})

export function messageChoices(one: Message, shown: Message[]): Choice[] {
  return [
    ...(one.value ? valueChoices(one.value) : []),
    { title: 'Copy as JSON', run: () => void menu.copy(JSON.stringify(one, null, 2), 'JSON') },
    ...momentChoices(messageMoment(one)),
    {
      title: `Copy the ${shown.length} shown as Mermaid`,
      run: () =>
        void menu.copy(
          mermaid(shown, (process) => recording.label(process)),
          'Mermaid',
        ),
    },
  ]
}
