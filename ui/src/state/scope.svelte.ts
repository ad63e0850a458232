import { focus } from './focus.svelte'
import { viewport } from './viewport.svelte'

/**
 * The stretch of time that lists show: the focus window when there is one, else what the timeline shows.
 * A view that lists anything reads `scope.range` (ns, ns) and says `scope.words` beside its count.
 */
class Scope {
  readonly range = $derived<[number, number]>(
    focus.window ?? [Math.max(0, viewport.view.from), viewport.view.to],
  )
  readonly words = $derived(focus.window ? 'in the window' : 'in view')
}

export const scope = new Scope()
