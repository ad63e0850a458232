import { api } from '../lib/api'
import { asJson, mermaid } from '../lib/export'
import { writable } from '../lib/finder'
import { functionName } from '../lib/names'
import { formatMoment } from '../lib/moment'
import { payload } from '../lib/story'
import type { Call, Message, Moment, Process, StackFrame, Value } from '../lib/types'
import { cones } from './cones.svelte'
import { finder } from './finder.svelte'
import { focus } from './focus.svelte'
import { inquiry } from './inquiry.svelte'
import { lanes } from './lanes.svelte'
import { type Choice, menu } from './menu.svelte'
import { recording } from './recording.svelte'
import { viewport } from './viewport.svelte'

/** What can be asked about and done with a value, a message, a call, a process, a moment: the entries of their menus. */

/** The address of the page at a moment. */
export const linkTo = (moment: Moment): string =>
  `${location.origin}${location.pathname}#/${formatMoment(moment)}`

const atEvent = (event: number): Moment => ({ at: -1, process: null, event, call: null })

function go(moment: Moment): void {
  focus.go(moment)
  if (moment.at >= 0) viewport.reveal(moment.at)
}

async function copyAs(value: Value, form: 'term' | 'json'): Promise<void> {
  try {
    const part = form === 'json' ? 'JSON' : 'the Elixir term'
    if (value.id !== null) await menu.copy((await api.value(value.id, form)).text, part)
    else await menu.copy(form === 'json' ? asJson(value.text) : value.text, part)
  } catch (reason) {
    menu.say(reason instanceof Error ? reason.message : String(reason))
  }
}

export function valueChoices(value: Value): Choice[] {
  if (value.redacted && value.id === null) return []
  const { id } = value
  return [
    ...(id === null
      ? []
      : [
          {
            title: 'Where did it come from?',
            run: () => focus.trace({ value: id, title: value.text.slice(0, 60) }),
          },
          {
            title: 'Where did it go?',
            run: () => focus.trace({ value: id, title: value.text.slice(0, 60), direction: 'forward' }),
          },
        ]),
    ...(value.truncated || !writable(value.text)
      ? []
      : [
          {
            title: 'Find every value like it',
            run: () => finder.look({ text: value.text, as: 'pattern' }),
          },
        ]),
    { title: 'Copy as Elixir term', run: () => void copyAs(value, 'term') },
    { title: 'Copy as JSON', run: () => void copyAs(value, 'json') },
  ]
}

export function momentChoices(moment: Moment): Choice[] {
  return [
    { title: 'Copy link to the moment', run: () => void menu.copy(linkTo(moment), 'the link') },
    {
      title: 'Copy the moment as JSON',
      run: () => void menu.copy(JSON.stringify(moment), 'JSON'),
    },
    {
      title: 'Copy the moment as Elixir term',
      run: () =>
        void menu.copy(
          `%{at: ${Math.round(moment.at)}, process: ${moment.process ?? 'nil'}, event: ${moment.event ?? 'nil'}, call: ${moment.call ?? 'nil'}}`,
          'the Elixir term',
        ),
    },
  ]
}

/** Why it happened, and everything that followed from it. */
function whyChoices(event: number): Choice[] {
  return [
    {
      group: 'Why',
      title: 'Why did this happen?',
      run: () => {
        focus.go(atEvent(event))
        focus.show('causes')
      },
    },
    { title: 'Show what it led to, everywhere', run: () => void cones.show(event, 'forward') },
    { title: 'Show what led to it, everywhere', run: () => void cones.show(event, 'backward') },
  ]
}

/** What happened at a moment: why, what it led to, and a way to take it along. */
export function eventChoices(moment: Moment): Choice[] {
  const copies = momentChoices(moment)
  if (moment.event === null) return copies
  return [
    ...whyChoices(moment.event),
    ...copies.map((choice, index) => (index === 0 ? { ...choice, group: 'Copy' } : choice)),
  ]
}

/** What can be asked about a call that is known by its number alone: the timeline draws it without its values. */
export async function callChoicesOf(call: number): Promise<Choice[]> {
  const { stack } = await api.frame({ event: call })
  const frame = stack.find((one) => one.call === call)
  return frame ? callChoices(frame) : eventChoices(atEvent(call))
}

export const messageMoment = (one: Message): Moment => ({
  at: one.sent_at ?? one.received_at ?? -1,
  process: one.send_event === null ? one.to : one.from,
  event: one.send_event ?? one.receive_event,
  call: null,
})

export function messageChoices(one: Message, shown: Message[]): Choice[] {
  const text = one.value ? payload(one.value.text).slice(0, 60) : (one.tag ?? one.kind)
  const said = `${one.kind} ${text}`
  const who = recording.label(one.to)
  return [
    ...(one.send_event === null ? [] : whyChoices(one.send_event)),
    ...(one.kind === 'call'
      ? [
          {
            title: one.reply === null ? `Why did ${who} not answer?` : `When did ${who} answer?`,
            run: () =>
              one.reply === null
                ? inquiry.ask(`Why was ${said} not answered?`, { message: one.message })
                : focus.go(atEvent(one.reply)),
          },
        ]
      : []),
    ...(one.handled_at === null && one.kind !== 'reply'
      ? [
          {
            title: `Why did ${who} not handle it?`,
            run: () => inquiry.ask(`Why was ${said} not handled?`, { message: one.message }),
          },
        ]
      : []),
    ...(one.value
      ? valueChoices(one.value).map((choice, index) =>
          index === 0 ? { ...choice, group: 'The message' } : choice,
        )
      : []),
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

export function callChoices(call: Call | StackFrame): Choice[] {
  const name = functionName(call)
  return [
    {
      title: 'Go to the call',
      run: () => go({ at: call.start, process: call.process, event: call.call, call: null }),
    },
    ...whyChoices(call.call),
    ...(call.end === null || call.outcome === 'raised'
      ? [
          {
            title: `Why did ${name} not return?`,
            run: () => inquiry.ask(`Why did ${name} not return?`, { call: call.call }),
          },
        ]
      : []),
    ...(call.args
      ? valueChoices(call.args).map((choice, index) =>
          index === 0 ? { ...choice, group: 'Arguments' } : choice,
        )
      : []),
    ...(call.result
      ? valueChoices(call.result).map((choice, index) =>
          index === 0 ? { ...choice, group: 'Result' } : choice,
        )
      : []),
    ...momentChoices({ at: call.start, process: call.process, event: call.call, call: null }),
  ]
}

export function processChoices(process: Process): Choice[] {
  const { end, exit_event: ended } = process
  return [
    {
      title: 'Go to its first moment',
      run: () => go({ at: process.start, process: process.process, event: null, call: null }),
    },
    ...(end === null
      ? []
      : [
          {
            title: 'Go to its end',
            run: () => go({ at: end, process: process.process, event: null, call: null }),
          },
        ]),
    ...(ended === null || ended === undefined
      ? []
      : [
          {
            group: 'Why',
            title: process.exit_kind === 'crash' ? 'Why did it crash?' : 'Why did it end?',
            hint: process.exit_kind ?? '',
            run: () => {
              focus.go(atEvent(ended))
              focus.show('causes')
            },
          },
          { title: 'Show what its end led to, everywhere', run: () => void cones.show(ended, 'forward') },
        ]),
    {
      group: 'Lane',
      title: lanes.pinned.includes(process.process) ? 'Do not pin its lane' : 'Pin its lane',
      hint: 'p',
      run: () => lanes.pin(process.process),
    },
    { title: 'Hide its lane', hint: 'h', run: () => lanes.hide(process.process) },
    { group: 'Copy', title: 'Copy its pid', run: () => void menu.copy(process.pid, process.pid) },
    {
      title: 'Copy link to its first moment',
      run: () =>
        void menu.copy(
          linkTo({ at: process.start, process: process.process, event: null, call: null }),
          'the link',
        ),
    },
    {
      title: 'Copy the process as JSON',
      run: () => void menu.copy(JSON.stringify(process, null, 2), 'JSON'),
    },
  ]
}
