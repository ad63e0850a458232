import type { Viewport } from './scale'
import type { TimelineData } from './types'

/** Which stretch of time to ask for so that a view is covered: the same one for all views that are about the same. */

export interface Tile {
  low: number // ns
  high: number
  width: number // px that the answer is made for
}

const SORTS = ['calls', 'messages', 'states', 'errors'] as const
const SHARPEST = 0.7 // of a level's span: between its closest view (0.5) and its widest (1)

/**
 * The tile of a view `width` pixels wide: a quarter of the view more on either side, and out to the next quarter of its
 * level. A level is a power of two of ns, so that zooming and panning to and fro ask for few different tiles.
 */
export function tileOf(view: Viewport, width: number, duration: number): Tile {
  const span = view.to - view.from
  const level = 2 ** Math.ceil(Math.log2(span))
  const step = Math.max(1, level / 4)
  const low = Math.max(0, Math.floor((view.from - span / 4) / step) * step)
  const high = Math.min(duration, Math.ceil((view.to + span / 4) / step) * step)
  return { low, high, width: Math.max(50, Math.round((width * (high - low)) / (SHARPEST * level))) }
}

/** How many times longer than a view a tile made for it can be. */
export const LONGEST = 2.6

/** Whether a tile covers a view, and finely enough. */
export function enough(data: TimelineData, view: Viewport, duration: number): boolean {
  if (data.from > Math.max(0, view.from) || data.to < Math.min(duration, view.to)) return false
  const coarse = (data.to - data.from) / (view.to - view.from)
  const exact = data.detail === 'spans' && !Object.values(data.truncated).some(Boolean)
  return exact ? coarse < 60 : coarse < LONGEST && coarse > 0.9
}

/** About how many bytes an answer takes while it is kept. */
export function weigh(data: TimelineData): number {
  let parts = data.messages.length * 2
  for (const { marks, spans, density } of data.lanes) {
    parts += marks.length + (spans?.length ?? 0) * 2
    if (density) for (const sort of SORTS) parts += density[sort].length / 8
  }
  return parts * 80
}
