/** How the desk is arranged: theme, panels, sizes, what is folded. Remembered by the browser. */

import {
  type Arrangement,
  arranged,
  type Dock,
  dockOf,
  move,
  type Panel,
  type Preset,
  restore,
  show,
} from '../lib/panels'
import { SIZES, stepped, suited } from '../lib/size'

const KEY = 'elixirscope.desk'

interface Saved {
  theme: 'dark' | 'light'
  left: number
  right: number
  bottom: number // px of the views below the timeline
  code: number // share of the right column
  arrangement: Arrangement
  folded: string[]
  size: number | null // of everything; null is what suits the screen
}

/** What the browser kept under a name; nothing when storage is refused or holds something else. */
export function remembered(key: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(key) ?? '{}')
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

export function remember(key: string, value: unknown): void {
  try {
    localStorage.setItem(key, JSON.stringify(value))
  } catch {
    // Nothing is lost but the arrangement of the next visit.
  }
}

const saved: Partial<Saved> = remembered(KEY)
const chosen = SIZES.find((one) => one === saved.size) ?? null
const room = innerWidth / (chosen ?? suited(innerWidth, innerHeight))
const wide = room >= 1600
const wall = room >= 2300
const preferred = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'
const size = (value: unknown, otherwise: number): number =>
  typeof value === 'number' && Number.isFinite(value) ? value : otherwise

class Desk {
  /** Whether the fonts are there; a canvas draws with another one before. */
  fonts = $state(false)
  theme = $state<'dark' | 'light'>(
    saved.theme === 'light' || saved.theme === 'dark' ? saved.theme : preferred,
  )
  left = $state(size(saved.left, wall ? 400 : wide ? 300 : 244))
  right = $state(size(saved.right, wall ? 820 : wide ? 520 : 392))
  bottom = $state(size(saved.bottom, Math.round((room / innerWidth) * innerHeight * 0.34)))
  code = $state(size(saved.code, 0.54))
  arrangement = $state.raw<Arrangement>(restore(saved.arrangement))
  folded = $state.raw<ReadonlySet<string>>(new Set(Array.isArray(saved.folded) ? saved.folded : []))
  /** How large everything is drawn, when somebody chose; the screen in px as the browser has it. */
  size = $state<number | null>(chosen)
  screen = $state.raw({ width: innerWidth, height: innerHeight })
  readonly zoom = $derived(this.size ?? suited(this.screen.width, this.screen.height))
  /** Room for the desk, in the px that it is drawn in. */
  readonly width = $derived(this.screen.width / this.zoom)
  readonly height = $derived(this.screen.height / this.zoom)
  tall = $state(false) // the view below the timeline has the larger part
  overlay = $state<'palette' | 'shortcuts' | 'coverage' | null>(null)
  /** The panel that somebody drags to another place. */
  dragged = $state<Panel | null>(null)

  /** Applies the theme and keeps the arrangement; runs inside an effect. */
  keep(): void {
    const root = document.documentElement
    root.dataset.theme = this.theme
    root.style.setProperty('--zoom', String(this.zoom))
    const { theme, left, right, bottom, code, arrangement, size } = this
    remember(KEY, { theme, left, right, bottom, code, arrangement, folded: [...this.folded], size })
  }

  /** Everything a step larger or smaller; the first step begins at what suits the screen. */
  resize(by: 1 | -1): void {
    this.size = stepped(this.zoom, by)
  }

  /** A pointer's place, or how far it went, in the px that the desk is drawn in. */
  px(screen: number): number {
    return screen / this.zoom
  }

  show(panel: Panel): void {
    this.arrangement = show(this.arrangement, panel)
  }

  move(panel: Panel, dock: Dock, before: Panel | null = null): void {
    this.arrangement = move(this.arrangement, panel, dock, before)
  }

  /** Whether a panel can be seen, as far as the desk knows. */
  inFront(panel: Panel): boolean {
    const dock = this.dockOf(panel)
    return dock === 'left' || this.arrangement.front[dock] === panel
  }

  dockOf(panel: Panel): Dock {
    return dockOf(this.arrangement, panel)
  }

  preset(preset: Preset): void {
    this.arrangement = arranged(preset)
    this.tall = preset.tall
  }

  fold(name: string): void {
    const next = new Set(this.folded)
    if (!next.delete(name)) next.add(name)
    this.folded = next
  }
}

export const desk = new Desk()

void Promise.all(["13px 'Inter'", "13px 'JetBrains Mono'"].map((font) => document.fonts.load(font))).then(
  () => (desk.fonts = true),
)
