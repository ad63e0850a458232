import { type Group, type Grouping, GROUPINGS, moved, roster } from '../lib/roster'
import type { Process } from '../lib/types'
import { remember, remembered } from './desk.svelte'
import { recording } from './recording.svelte'
import { stage } from './stage.svelte'
import { viewport } from './viewport.svelte'

const UNTOUCHED = JSON.stringify({
  grouping: 'tree',
  pinned: [],
  hidden: [],
  order: [],
  collapsed: [],
  folds: {},
})

/** How the lanes of one recording are grouped, pinned, hidden, folded and ordered. Remembered per recording. */
class Lanes {
  grouping = $state<Grouping>('tree')
  search = $state('')
  pinned = $state.raw<number[]>([])
  hidden = $state.raw<ReadonlySet<number>>(new Set())
  order = $state.raw<number[]>([])
  collapsed = $state.raw<ReadonlySet<number>>(new Set()) // in the tree: what is below them is not shown
  expanded = $state.raw<ReadonlySet<number>>(new Set()) // these show frames however deep
  folds = $state.raw<Record<string, boolean>>({})

  #key: string | null = null

  readonly groups = $derived.by((): Group[] =>
    roster(stage.processes, viewport.coded, {
      grouping: this.grouping,
      pinned: this.pinned,
      hidden: this.hidden,
      order: this.order,
      search: this.search,
    }),
  )
  /** Those whose lanes are not drawn though what passes through them matters. */
  readonly through = $derived([
    ...this.hidden,
    ...this.groups.filter((group) => this.folded(group)).flatMap((group) => group.processes.map(number)),
  ])

  /** Platform processes are folded until somebody looks; a search unfolds everything it finds. */
  folded(group: Group): boolean {
    if (group.key === '' || this.search.trim() !== '') return false
    return this.folds[group.key] ?? group.platform
  }

  fold(group: Group): void {
    this.folds = { ...this.folds, [group.key]: !this.folded(group) }
  }

  collapse(process: number): void {
    this.collapsed = toggled(this.collapsed, process)
  }

  expand(process: number): void {
    this.expanded = toggled(this.expanded, process)
  }

  pin(process: number): void {
    this.pinned = this.pinned.includes(process)
      ? this.pinned.filter((one) => one !== process)
      : [...this.pinned, process]
  }

  hide(process: number): void {
    this.hidden = new Set([...this.hidden, process])
  }

  showAll(): void {
    this.hidden = new Set()
  }

  /** One place up or down among the lanes as they stand. */
  move(process: number, by: 1 | -1): void {
    const group = this.groups.find((one) => one.processes.some((each) => each.process === process))
    if (!group) return
    const next = moved(group.processes.map(number), process, by)
    if (group.key === 'pinned') this.pinned = next
    else this.order = [...this.order.filter((one) => !next.includes(one)), ...next]
  }

  /** Brings back what was kept for this recording, then keeps every change; runs inside an effect. */
  keep(): void {
    const { info } = recording
    if (!info) return
    const key = `elixirscope.lanes.${info.name}.${info.started_unix_ns}`
    if (this.#key !== key) {
      this.#key = key
      const saved = remembered(key)
      const list = (value: unknown): number[] =>
        Array.isArray(value) ? value.filter((one) => Number.isInteger(one)) : []
      this.grouping = GROUPINGS.find((one) => one === saved.grouping) ?? 'tree'
      this.pinned = list(saved.pinned)
      this.hidden = new Set(list(saved.hidden))
      this.order = list(saved.order)
      this.collapsed = new Set(list(saved.collapsed))
      this.folds = (typeof saved.folds === 'object' && saved.folds !== null ? saved.folds : {}) as Record<
        string,
        boolean
      >
    }
    const { grouping, pinned, order, folds } = this
    const [hidden, collapsed] = [[...this.hidden], [...this.collapsed]]
    const text = JSON.stringify({ grouping, pinned, hidden, order, collapsed, folds })
    if (text !== UNTOUCHED || Object.keys(remembered(key)).length > 0) remember(key, JSON.parse(text))
  }
}

function toggled(set: ReadonlySet<number>, one: number): Set<number> {
  const next = new Set(set)
  if (!next.delete(one)) next.add(one)
  return next
}

const number = (process: Process): number => process.process

export const lanes = new Lanes()
