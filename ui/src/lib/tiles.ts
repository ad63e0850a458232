import type { Viewport } from './scale'
import type { TimelineData } from './types'

/** Which stretch of time to ask for so that a view is covered: the same one for all views that are about the same. */

export interface Tile {
  low: number // ns
  high: number
  width: number // px that the answer is made for
}

/** An answer, and how many ns a pixel of it is. */
export interface Tiled extends TimelineData {
  grain: number
}

const SORTS = ['calls', 'messages', 'states', 'errors'] as const
const SHARPEST = 0.7 // of a level's span: between its closest view (0.5) and its widest (1)
const COARSEST = (SHARPEST / 0.5) * 1.01 // px of the closest view for a pixel of the tile, rounded up

/** The span of the widest view of a level: a power of two of ns. The closest is half as wide. */
export const levelOf = (view: Viewport): number => 2 ** Math.ceil(Math.log2(view.to - view.from))

/**
 * The tile of a view `width` pixels wide: one and a half times its level around its middle, and out to the next quarter
 * of the level. It covers all views of the level that lie about there, so that zooming asks for one tile a level.
 */
export function tileOf(view: Viewport, width: number, duration: number): Tile {
  const level = levelOf(view)
  const step = Math.max(1, level / 4)
  const middle = (view.from + view.to) / 2
  const low = Math.max(0, Math.floor((middle - level * 0.75) / step) * step)
  const high = Math.min(duration, Math.ceil((middle + level * 0.75) / step) * step)
  return { low, high, width: Math.max(50, Math.round((width * (high - low)) / (SHARPEST * level))) }
}

/** How many times longer than a view a tile made for it can be. */
export const LONGEST = 4

/** Whether a tile covers a view `width` pixels wide, and finely enough. */
export function enough(data: Tiled, view: Viewport, width: number, duration: number): boolean {
  if (data.from > Math.max(0, view.from) || data.to < Math.min(duration, view.to)) return false
  const span = view.to - view.from
  const exact = data.detail === 'spans' && !Object.values(data.truncated).some(Boolean)
  return exact ? (data.to - data.from) / span < 60 : (data.grain * width) / span <= COARSEST
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
