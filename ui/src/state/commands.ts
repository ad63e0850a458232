import { GROUPINGS } from '../lib/roster'
import { DOCK_NAMES, DOCKS, NAMES, PANELS, PRESETS } from '../lib/panels'
import { causality } from './causality.svelte'
import { desk } from './desk.svelte'
import { finder } from './finder.svelte'
import { focus } from './focus.svelte'
import { lanes } from './lanes.svelte'
import { levels } from './levels.svelte'
import { live } from './live.svelte'
import { menu } from './menu.svelte'
import { notebook } from './notebook.svelte'
import { toPanel } from './panes'
import { player } from './player.svelte'
import { sky3d } from './sky.svelte'
import { stage } from './stage.svelte'
import { UNKEYED } from './unkeyed'
import { viewport } from './viewport.svelte'

/** Everything the keyboard can do, in one place: the palette and the list of shortcuts read it too. */
export interface Command {
  title: string
  keys: string // empty: from the palette alone
  also?: string // another key for the same
  match: (event: KeyboardEvent) => boolean
  run: () => void
}

const key =
  (...names: string[]) =>
  (event: KeyboardEvent): boolean =>
    names.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey

const pane =
  (back: boolean) =>
  (event: KeyboardEvent): boolean =>
    event.key === 'F6' && event.shiftKey === back && !event.ctrlKey && !event.altKey

const never = (): boolean => false

const around = (): number => {
  const at = focus.moment?.at ?? 0
  const { from, to } = viewport.view
  return at >= from && at <= to ? at : (from + to) / 2
}

function inFocus(act: (process: number) => void): void {
  const process = focus.process
  if (process !== null && process !== undefined) act(process)
}

/** The commands as the sheet of shortcuts shows them: under what they are for. */
export const SECTIONS: { title: string; commands: Command[] }[] = [
  {
    title: 'Story',
    commands: [
      {
        title: 'Next step of the story (opens the first finding)',
        keys: 'j',
        match: key('j'),
        run: () => stage.walk(1),
      },
      { title: 'Previous step of the story', keys: 'k', match: key('k'), run: () => stage.walk(-1) },
    ],
  },
  {
    title: 'Step and play',
    commands: [
      {
        title: 'Next event',
        keys: '.',
        also: '→',
        match: key('.', 'ArrowRight'),
        run: () => void player.step('next'),
      },
      {
        title: 'Previous event',
        keys: ',',
        also: '←',
        match: key(',', 'ArrowLeft'),
        run: () => void player.step('previous'),
      },
      {
        title: 'Next exception of any process',
        keys: 'x',
        match: key('x'),
        run: () => void player.step('next', 'exception', 'any'),
      },
      {
        title: 'Previous exception of any process',
        keys: 'X',
        match: key('X'),
        run: () => void player.step('previous', 'exception', 'any'),
      },
      {
        title: 'Next state change of any process',
        keys: 'c',
        match: key('c'),
        run: () => void player.step('next', 'state', 'any'),
      },
      {
        title: 'Previous state change of any process',
        keys: 'C',
        match: key('C'),
        run: () => void player.step('previous', 'state', 'any'),
      },
      {
        title: 'Next message of this process',
        keys: 'm',
        match: key('m'),
        run: () => void player.step('next', 'message', 'process'),
      },
      {
        title: 'Previous message of this process',
        keys: 'M',
        match: key('M'),
        run: () => void player.step('previous', 'message', 'process'),
      },
      {
        title: 'Follow the end of a recording that is being made, or stop there',
        keys: 'e',
        match: key('e'),
        run: () => live.toggle(),
      },
      { title: 'Play or pause', keys: 'Space', match: key(' '), run: () => player.toggle() },
      {
        title: 'First moment of this process',
        keys: 'Home',
        match: key('Home'),
        run: () => player.edge('first'),
      },
      {
        title: 'Last moment of this process',
        keys: 'End',
        match: key('End'),
        run: () => player.edge('last'),
      },
    ],
  },
  {
    title: 'Zoom and scope',
    commands: [
      {
        title: 'Zoom in',
        keys: 'w',
        also: '+',
        match: key('w', 'W', '+'),
        run: () => viewport.zoom(0.7, around()),
      },
      {
        title: 'Zoom out',
        keys: 's',
        also: '-',
        match: key('s', 'S', '-'),
        run: () => viewport.zoom(1 / 0.7, around()),
      },
      { title: 'Pan left', keys: 'a', match: key('a', 'A'), run: () => viewport.pan(-0.15) },
      { title: 'Pan right', keys: 'd', match: key('d', 'D'), run: () => viewport.pan(0.15) },
      { title: 'Fit the whole recording', keys: 'f', match: key('f', 'F'), run: () => viewport.fit() },
      {
        title: 'Zoom to the frame in focus',
        keys: 'z',
        match: key('z'),
        run: () => {
          const picture = focus.picture.value
          const frame = picture?.stack.find((one) => one.call === picture.moment.call) ?? picture?.stack[0]
          if (frame) viewport.frame(frame.start, frame.end ?? frame.start + viewport.span)
        },
      },
      {
        title: 'One level closer: system, application, process, function, line, value',
        keys: '>',
        match: key('>'),
        run: () => levels.step(1),
      },
      { title: 'One level farther away', keys: '<', match: key('<'), run: () => levels.step(-1) },
      {
        title: 'Scope all views to what the timeline shows',
        keys: 'r',
        match: key('r'),
        run: () => focus.scope(focus.window ? null : [Math.max(0, viewport.view.from), viewport.view.to]),
      },
      { title: 'Clear the focus window', keys: 'Esc', match: key('Escape'), run: () => focus.scope(null) },
    ],
  },
  {
    title: 'Lanes',
    commands: [
      {
        title: 'Pin or unpin the lane of the process in focus',
        keys: 'p',
        match: key('p'),
        run: () => inFocus((process) => lanes.pin(process)),
      },
      {
        title: 'Hide the lane of the process in focus',
        keys: 'h',
        match: key('h'),
        run: () => inFocus((process) => lanes.hide(process)),
      },
      { title: 'Show all hidden lanes', keys: 'H', match: key('H'), run: () => lanes.showAll() },
      {
        title: 'Group lanes by tree, application or name',
        keys: 'g',
        match: key('g'),
        run: () => {
          const next = (GROUPINGS.indexOf(lanes.grouping) + 1) % GROUPINGS.length
          lanes.grouping = GROUPINGS[next] ?? 'tree'
        },
      },
    ],
  },
  {
    title: 'Ask',
    commands: [
      { title: 'Search', keys: '/', match: key('/'), run: () => (desk.overlay = 'palette') },
      {
        title: 'Command palette',
        keys: 'Ctrl K',
        match: (event) => event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey),
        run: () => (desk.overlay = 'palette'),
      },
      {
        title: 'Find in the whole recording: values by pattern, and names',
        keys: 'Ctrl F',
        match: (event) =>
          event.key.toLowerCase() === 'f' && (event.ctrlKey || event.metaKey) && !event.shiftKey,
        run: () => finder.open(),
      },
      {
        title: 'Where did this value come from?',
        keys: 'i',
        match: key('i'),
        run: () => {
          focus.way = 'backward'
          focus.show('flow')
        },
      },
      {
        title: 'Where did this value go?',
        keys: 'o',
        match: key('o'),
        run: () => {
          focus.way = 'forward'
          focus.show('flow')
        },
      },
      {
        title: 'Pin this event, and compare others with it: before, after, concurrent',
        keys: 'b',
        match: key('b'),
        run: () => causality.pin(),
      },
      {
        title: 'Space-time diagram: what could have influenced what',
        keys: 'y',
        match: key('y'),
        run: () => causality.show(causality.form === 'spacetime' ? 'chain' : 'spacetime'),
      },
      {
        title: 'Constellation in space (3D), or flat',
        keys: 'u',
        match: key('u'),
        run: () => sky3d.toggle(),
      },
    ],
  },
  {
    title: 'Keep, and the look of the desk',
    commands: [
      {
        title: 'Copy a link to this moment',
        keys: 'l',
        match: key('l'),
        run: () => {
          focus.note()
          void menu.copy(location.href, 'the link')
        },
      },
      {
        title: 'Keep this moment in the notebook',
        keys: 'n',
        match: key('n'),
        run: () => notebook.keep(),
      },
      {
        title: 'Make the view below taller or smaller',
        keys: 'v',
        match: key('v'),
        run: () => (desk.tall = !desk.tall),
      },
      {
        title: 'Switch between dark and paper',
        keys: 't',
        match: key('t'),
        run: () => (desk.theme = desk.theme === 'dark' ? 'light' : 'dark'),
      },
      { title: 'Draw everything larger', keys: ']', match: key(']'), run: () => desk.resize(1) },
      { title: 'Draw everything smaller', keys: '[', match: key('['), run: () => desk.resize(-1) },
      {
        title: 'Draw everything in the size that suits this screen',
        keys: '',
        match: never,
        run: () => (desk.size = null),
      },
      { title: 'Show the shortcuts', keys: '?', match: key('?'), run: () => (desk.overlay = 'shortcuts') },
    ],
  },
  {
    title: 'Views',
    commands: [
      // The panels that stand below the timeline answer the number keys; all of them the palette.
      ...NAMES.filter((name) => PANELS[name].dock === 'bottom').map((name, index) => ({
        title: PANELS[name].about,
        keys: index < 9 ? String(index + 1) : '',
        match: index < 9 ? key(String(index + 1)) : never,
        run: () => (name === 'find' ? finder.open() : focus.show(name)),
      })),
      ...NAMES.filter((name) => PANELS[name].dock !== 'bottom').map((name) => ({
        title: PANELS[name].about,
        keys: '',
        match: never,
        run: () => focus.show(name),
      })),
    ],
  },
  {
    title: 'The keyboard',
    commands: [
      { title: 'To the next panel', keys: 'F6', match: pane(false), run: () => toPanel(1) },
      { title: 'To the panel before', keys: 'Shift F6', match: pane(true), run: () => toPanel(-1) },
    ],
  },
  {
    title: 'Desks',
    commands: [
      ...PRESETS.map((preset, index) => ({
        title: `Desk for ${preset.title}`,
        keys: `Alt ${index + 1}`,
        match: (event: KeyboardEvent) => event.altKey && event.code === `Digit${index + 1}`,
        run: () => {
          desk.preset(preset)
          focus.note()
        },
      })),
      ...NAMES.flatMap((name) =>
        DOCKS.map((dock) => ({
          title: `Move ${PANELS[name].title} to the ${DOCK_NAMES[dock]}`,
          keys: '',
          match: never,
          run: () => {
            desk.move(name, dock)
            focus.note()
          },
        })),
      ),
    ],
  },
]

export const commands: Command[] = [...SECTIONS.flatMap((section) => section.commands), ...UNKEYED]

/** Runs what the key stands for, unless somebody is typing. */
export function press(event: KeyboardEvent): void {
  const target = event.target
  const typing =
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  const open = desk.overlay !== null
  const command = commands.find((one) => one.match(event))
  if (!command) return
  const everywhere = command.keys.startsWith('Ctrl') || (command.keys.endsWith('F6') && !open)
  if ((typing || open) && !everywhere) return
  // In the field to find with, the same keys again are the browser's own search.
  if (command.keys === 'Ctrl F' && target instanceof HTMLElement && target.closest('[data-testid="find"]'))
    return
  // A focused button keeps its own Space and Enter.
  if (event.key === ' ' && target instanceof HTMLElement && target.closest('button, [role="button"], a'))
    return
  event.preventDefault()
  command.run()
}
