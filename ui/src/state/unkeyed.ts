import { toMarkdown } from '../lib/notebook'
import { GROUPINGS } from '../lib/roster'
import { linkTo, momentChoices } from './choices'
import type { Command } from './commands'
import { cones } from './cones.svelte'
import { desk } from './desk.svelte'
import { focus } from './focus.svelte'
import { CALL_FORMS, type CallForm, forms } from './forms.svelte'
import { highlights } from './highlights.svelte'
import { lanes } from './lanes.svelte'
import { menu } from './menu.svelte'
import { notebook } from './notebook.svelte'
import { KINDS, player, SPEEDS } from './player.svelte'
import { recording } from './recording.svelte'
import { type Cast, stage } from './stage.svelte'

/** What the palette can do besides what has a key. */

const command = (title: string, run: () => void): Command => ({ title, keys: '', match: () => false, run })

function cone(direction: 'forward' | 'backward'): void {
  if (focus.event !== null) void cones.show(focus.event, direction)
}

function faster(by: 1 | -1): void {
  const now = SPEEDS.indexOf(player.speed as (typeof SPEEDS)[number])
  player.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, now + by))] ?? 1
}

const NAMED = { call: 'call', message: 'message', state: 'state change', exception: 'exception' } as const
const KEYED = ['message process', 'state any', 'exception any'] // these steps have keys

const CASTS: Record<Cast, string> = {
  finding: 'the open finding',
  code: 'processes with recorded code',
  application: 'this application',
  process: 'this process alone',
  all: 'all processes',
}

const steps = KINDS.flatMap((kind) =>
  (['process', 'any'] as const).flatMap((scope) =>
    kind === 'any' || KEYED.includes(`${kind} ${scope}`)
      ? []
      : (['next', 'previous'] as const).map((direction) =>
          command(
            `${direction === 'next' ? 'Next' : 'Previous'} ${NAMED[kind]} of ${scope === 'any' ? 'any' : 'this'} process`,
            () => void player.step(direction, kind, scope),
          ),
        ),
  ),
)

const copies = [0, 1, 2].map((index) => {
  const { title } = momentChoices({ at: 0, process: null, event: null, call: null })[index]!
  return command(title, () => {
    if (focus.moment) momentChoices(focus.moment)[index]?.run()
  })
})

export const UNKEYED: Command[] = [
  ...steps,
  command('Play twice as fast', () => faster(1)),
  command('Play half as fast', () => faster(-1)),
  ...Object.entries(CALL_FORMS).map(([name, title]) =>
    command(`Calls: ${title.toLowerCase()}`, () => forms.showCalls(name as CallForm)),
  ),
  command('Messages: list', () => forms.showMessages('list')),
  command('Messages: sequence diagram', () => forms.showMessages('sequence')),
  command('Light up in every view what led to this event', () => cone('backward')),
  command('Light up in every view what follows from this event', () => cone('forward')),
  command('Take the light and all marks off the views', () => {
    cones.hide()
    highlights.clear()
  }),
  ...Object.entries(CASTS).map(([cast, whose]) =>
    command(`Lanes of ${whose}`, () => {
      if (cast !== 'finding' || stage.told) stage.cast = cast as Cast
    }),
  ),
  ...GROUPINGS.map((grouping) => command(`Group lanes by ${grouping}`, () => (lanes.grouping = grouping))),
  ...copies,
  command(
    'Copy the notebook as Markdown',
    () =>
      void menu.copy(
        toMarkdown(recording.info?.name ?? 'the recording', notebook.entries, linkTo),
        'the notebook as Markdown',
      ),
  ),
  command('What was not recorded', () => (desk.overlay = 'coverage')),
]
