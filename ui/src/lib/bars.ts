import type { Density } from './types'

/**
 * Bars of what happened, written as pixels. Thousands of them as shapes of a canvas took 10 to 40 ms of a frame without
 * a GPU; written they take 1.
 */

/** Rows of pixels, each of them red, green, blue and alpha in the order of the machine's bytes. */
export interface Pixels {
  data: Uint32Array
  width: number
  height: number
}

/** Where the bars of a lane lie, in pixels: its first bucket begins at `left`; they stand on `bottom`. */
export interface Place {
  left: number
  per: number // px of a bucket
  top: number
  bottom: number
  scale: number // pixels of the screen for each px
}

/** What each part of a bar is written with. */
export interface Inks {
  call: number
  message: number
  state: number
  error: number
}

const LEAST = 2.5 // px of a bar, so that a single event can be seen

export function bars(pixels: Pixels, data: Density, place: Place, inks: Inks): void {
  const { width } = pixels
  const { left, per, top, bottom, scale } = place
  const { calls, messages, states, errors } = data
  const first = Math.max(0, Math.floor(-left / per) - 1)
  const count = Math.max(calls.length, messages.length, states.length, errors.length)
  const last = Math.min(count - 1, Math.ceil((width - left) / per))
  const gap = per >= 3 * scale ? Math.round(scale) : 0
  let most = 1
  for (let index = 0; index < count; index += 1) {
    most = Math.max(most, (calls[index] ?? 0) + (messages[index] ?? 0) + (states[index] ?? 0))
  }
  const unit = (bottom - top) / Math.sqrt(most)
  for (let index = first; index <= last; index += 1) {
    const [call, message, state] = [calls[index] ?? 0, messages[index] ?? 0, states[index] ?? 0]
    const sum = call + message + state
    const x = Math.round(left + index * per)
    const wide = Math.max(1, Math.round(left + (index + 1) * per) - x - gap)
    if (sum > 0) {
      const full = Math.max(LEAST * scale, Math.sqrt(sum) * unit)
      let low = bottom
      let under = 0
      for (const [amount, ink] of [
        [call, inks.call],
        [message, inks.message],
        [state, inks.state],
      ] as const) {
        if (amount === 0) continue
        under += amount
        const high = Math.min(low - 1, Math.round(bottom - (under / sum) * full))
        fill(pixels, x, high, wide, low - high, ink)
        low = high
      }
    }
  }
  // What went wrong stands over its neighbours, as tall as its lane.
  for (let index = first; index <= last; index += 1) {
    if ((errors[index] ?? 0) === 0) continue
    const x = Math.round(left + index * per)
    const wide = Math.max(Math.round(2 * scale), Math.round(left + (index + 1) * per) - x - gap)
    fill(pixels, x, top, wide, bottom - top, inks.error)
  }
}

/** A rectangle, as much of it as there is. */
function fill(
  { data, width, height }: Pixels,
  x: number,
  y: number,
  wide: number,
  high: number,
  ink: number,
) {
  const [from, to] = [Math.max(0, x), Math.min(width, x + wide)]
  if (from >= to) return
  const end = Math.min(height, y + high)
  for (let row = Math.max(0, y); row < end; row += 1) data.fill(ink, row * width + from, row * width + to)
}
