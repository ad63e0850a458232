/** How the desk is arranged: theme, sizes of panels, what is folded. Remembered by the browser. */

const KEY = 'elixirscope.desk'

interface Saved {
  theme: 'dark' | 'light'
  left: number
  right: number
  bottom: number // px of the views below the timeline
  code: number // share of the right column
  aside: string
  folded: string[]
}

function restore(): Partial<Saved> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}')
    return typeof found === 'object' && found !== null ? found : {}
  } catch {
    // Storage is refused or holds something else: the desk starts as new.
    return {}
  }
}

const saved = restore()
const wide = innerWidth >= 1600
const preferred = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'
const size = (value: unknown, otherwise: number): number =>
  typeof value === 'number' && Number.isFinite(value) ? value : otherwise

class Desk {
  theme = $state<'dark' | 'light'>(
    saved.theme === 'light' || saved.theme === 'dark' ? saved.theme : preferred,
  )
  left = $state(size(saved.left, wide ? 300 : 244))
  right = $state(size(saved.right, wide ? 520 : 392))
  bottom = $state(size(saved.bottom, Math.round(innerHeight * 0.34)))
  code = $state(size(saved.code, 0.54))
  aside = $state(typeof saved.aside === 'string' ? saved.aside : 'state')
  folded = $state.raw<ReadonlySet<string>>(new Set(Array.isArray(saved.folded) ? saved.folded : []))
  tall = $state(false) // the view below the timeline has the larger part
  overlay = $state<'palette' | 'shortcuts' | 'coverage' | null>(null)

  /** Applies the theme and keeps the arrangement; runs inside an effect. */
  keep(): void {
    document.documentElement.dataset.theme = this.theme
    const { theme, left, right, bottom, code, aside } = this
    const text = JSON.stringify({ theme, left, right, bottom, code, aside, folded: [...this.folded] })
    try {
      localStorage.setItem(KEY, text)
    } catch {
      // Nothing is lost but the arrangement of the next visit.
    }
  }

  fold(name: string): void {
    const next = new Set(this.folded)
    if (!next.delete(name)) next.add(name)
    this.folded = next
  }
}

export const desk = new Desk()
