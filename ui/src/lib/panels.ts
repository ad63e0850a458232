/**
 * What can stand on the desk, and where. A new panel is a line here and a component in `views/panels.ts`;
 * its command, its tab, its place in links and its way through the docks come from this table.
 */

import type { Picture } from './types'

export const DOCKS = ['left', 'bottom', 'upper', 'lower'] as const
export type Dock = (typeof DOCKS)[number]

export const DOCK_NAMES: Record<Dock, string> = {
  left: 'left column',
  bottom: 'place below the timeline',
  upper: 'upper right',
  lower: 'lower right',
}

interface About {
  title: string
  about: string // what the command palette calls it
  dock: Dock // where it stands until somebody moves it
  headed?: boolean // it names itself (with an h2), so that it needs no tab while it is alone
}

const TABLE = {
  findings: { title: 'Findings', about: 'Findings: what went wrong', dock: 'left', headed: true },
  processes: { title: 'Processes', about: 'Processes, by supervision tree', dock: 'left', headed: true },
  tests: { title: 'Tests', about: 'Tests that ran', dock: 'left', headed: true },
  messages: { title: 'Messages', about: 'Messages', dock: 'bottom' },
  calls: { title: 'Calls', about: 'Calls', dock: 'bottom' },
  constellation: { title: 'Constellation', about: 'Constellation: processes at the moment', dock: 'bottom' },
  causes: { title: 'Causes', about: 'Causes: why, and what followed', dock: 'bottom' },
  flow: { title: 'Flow', about: 'Flow: where a value came from, and where it went', dock: 'bottom' },
  query: { title: 'Query', about: 'Query in SQL', dock: 'bottom' },
  find: { title: 'Find', about: 'Find values by pattern, and names', dock: 'bottom' },
  code: { title: 'Code', about: 'Code, as it was recorded', dock: 'upper', headed: true },
  state: { title: 'State', about: 'State at the moment', dock: 'lower' },
  values: { title: 'Values', about: 'Values of the frame', dock: 'lower' },
  stack: { title: 'Stack', about: 'Stack at the moment', dock: 'lower' },
  why: { title: 'Why?', about: 'Why did this happen?', dock: 'lower' },
  notebook: { title: 'Notebook', about: 'Notebook: the moments you kept', dock: 'lower' },
} as const satisfies Record<string, About>

export type Panel = keyof typeof TABLE
export const PANELS: Record<Panel, About> = TABLE
export const NAMES = Object.keys(TABLE) as Panel[]

export const isPanel = (name: unknown): name is Panel => typeof name === 'string' && name in TABLE

/** Which panels stand in which dock, in order, and which of them is in front. */
export interface Arrangement {
  docks: Record<Dock, Panel[]>
  front: Record<Dock, Panel | null>
}

export function standard(): Arrangement {
  const in_ = (dock: Dock): Panel[] => NAMES.filter((name) => PANELS[name].dock === dock)
  const docks = { left: in_('left'), bottom: in_('bottom'), upper: in_('upper'), lower: in_('lower') }
  return settle({ docks, front: { left: null, bottom: null, upper: null, lower: null } })
}

/** Every dock shows one of its own panels. */
function settle({ docks, front }: Arrangement): Arrangement {
  const of = (dock: Dock): Panel | null => {
    const now = front[dock]
    return now !== null && docks[dock].includes(now) ? now : (docks[dock][0] ?? null)
  }
  return { docks, front: { left: of('left'), bottom: of('bottom'), upper: of('upper'), lower: of('lower') } }
}

export const dockOf = (now: Arrangement, panel: Panel): Dock =>
  DOCKS.find((dock) => now.docks[dock].includes(panel)) ?? PANELS[panel].dock

/** Brings a panel to the front of the dock where it stands. */
export const show = (now: Arrangement, panel: Panel): Arrangement =>
  settle({ docks: now.docks, front: { ...now.front, [dockOf(now, panel)]: panel } })

/** Moves a panel into a dock, before another panel or to the end, and to the front. */
export function move(now: Arrangement, panel: Panel, dock: Dock, before: Panel | null = null): Arrangement {
  if (before === panel) return now
  const without = (name: Dock): Panel[] => now.docks[name].filter((one) => one !== panel)
  const docks = {
    left: without('left'),
    bottom: without('bottom'),
    upper: without('upper'),
    lower: without('lower'),
  }
  const index = before === null ? -1 : docks[dock].indexOf(before)
  docks[dock].splice(index < 0 ? docks[dock].length : index, 0, panel)
  return settle({ docks, front: { ...now.front, [dock]: panel } })
}

/** An arrangement from what a browser kept: panels it does not know stand where they belong. */
export function restore(saved: unknown): Arrangement {
  let now = standard()
  const docks = (saved as Partial<Arrangement> | null)?.docks
  const front = (saved as Partial<Arrangement> | null)?.front
  const list = (from: unknown): Panel[] => (Array.isArray(from) ? from.filter(isPanel) : [])
  for (const dock of DOCKS) {
    for (const panel of list(docks?.[dock])) now = move(now, panel, dock)
  }
  for (const dock of DOCKS) {
    const panel = front?.[dock]
    now = { ...now, front: { ...now.front, [dock]: isPanel(panel) ? panel : (now.docks[dock][0] ?? null) } }
  }
  return settle(now)
}

/** What has something to say about a moment: its state, else its values, its stack, or what led to it. */
export function telling(picture: Picture): Panel {
  if (picture.state || picture.beside) return 'state'
  if (picture.bindings.length > 0 || picture.event?.value) return 'values'
  if (picture.stack.length > 0) return 'stack'
  return picture.causes.length > 0 ? 'why' : 'state'
}

/** The desk laid out for the common jobs: what comes to the front, what stands elsewhere, how much room it has. */
export interface Preset {
  title: string
  places: Partial<Record<Panel, Dock>>
  front: Panel[]
  tall: boolean
}

export const PRESETS: Preset[] = [
  { title: 'Overview', places: {}, front: ['constellation', 'state'], tall: false },
  { title: 'Debug', places: {}, front: ['messages', 'values'], tall: false },
  { title: 'State', places: { state: 'bottom' }, front: ['state', 'values'], tall: true },
  { title: 'Performance', places: {}, front: ['calls', 'stack'], tall: true },
  { title: 'Causality', places: {}, front: ['causes', 'why'], tall: true },
]

export function arranged(preset: Preset): Arrangement {
  let now = standard()
  for (const [panel, dock] of Object.entries(preset.places)) {
    now = move(now, panel as Panel, dock, now.docks[dock][0] ?? null)
  }
  return preset.front.reduce(show, now)
}
