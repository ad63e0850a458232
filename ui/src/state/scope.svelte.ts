import { focus } from './focus.svelte'
import { viewport } from './viewport.svelte'

/**
 * The stretch of time that lists show: the focus window when there is one, else what the timeline shows.
 * A view that lists anything reads `scope.range` (ns, ns) and says `scope.words` beside its count. Lists of the whole
 * recording (findings, tests, processes, versions of a state, steps of a chain) dim what is `scope.outside`.
 */
class Scope {
  readonly range = $derived<[number, number]>(
    focus.window ?? [Math.max(0, viewport.view.from), viewport.view.to],
  )
  /** The focus window alone, as a question carries it: what searches the whole recording is scoped by nothing else. */
  readonly window = $derived(
    focus.window ? { from: Math.floor(focus.window[0]), to: Math.ceil(focus.window[1]) } : {},
  )
  readonly words = $derived(focus.window ? 'in the window' : 'in view')

  /** Whether a stretch of time lies outside of the focus window. */
  outside(from: number, to: number | null = from): boolean {
    const window = focus.window
    return window !== null && (from > window[1] || (to ?? Infinity) < window[0])
  }
}

export const scope = new Scope()
