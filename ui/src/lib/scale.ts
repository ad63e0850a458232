/** The time axis: which ns is at which pixel. Pure, so that every view agrees with the playhead. */

export interface Viewport {
  from: number
  to: number
}

export const MIN_SPAN = 20 // ns; closer than this there is nothing to see

export const toX = (view: Viewport, width: number, at: number): number =>
  ((at - view.from) / (view.to - view.from)) * width

export const toTime = (view: Viewport, width: number, x: number): number =>
  view.from + (x / width) * (view.to - view.from)

/** The whole recording with a little air at both ends. */
export function fit(duration: number): Viewport {
  const air = Math.max(duration * 0.015, MIN_SPAN / 2)
  return { from: -air, to: duration + air }
}

/** Keeps a viewport within the recording, its span between `MIN_SPAN` and all of it. */
export function clamp(view: Viewport, duration: number): Viewport {
  const limits = fit(duration)
  const span = Math.min(Math.max(view.to - view.from, MIN_SPAN), limits.to - limits.from)
  const from = Math.min(Math.max(view.from, limits.from), limits.to - span)
  return { from, to: from + span }
}

/** Zoom by `factor` (below 1 is closer) around the time `around`, which stays where it is. */
export function zoom(view: Viewport, factor: number, around: number, duration: number): Viewport {
  const span = view.to - view.from
  const limits = fit(duration)
  const next = Math.min(Math.max(span * factor, MIN_SPAN), limits.to - limits.from)
  const share = (around - view.from) / span
  return clamp({ from: around - share * next, to: around + (1 - share) * next }, duration)
}

/** Move by a share of the span. */
export function pan(view: Viewport, share: number, duration: number): Viewport {
  const by = (view.to - view.from) * share
  return clamp({ from: view.from + by, to: view.to + by }, duration)
}

/** Moves the viewport only as far as needed to show `at`, with some room around it. */
export function reveal(view: Viewport, at: number, duration: number): Viewport {
  const span = view.to - view.from
  const room = span * 0.08
  if (at < view.from + room * 0.25 || at > view.to - room * 0.25) {
    const far = at < view.from - span || at > view.to + span
    const from = far ? at - span / 2 : at < view.from + room ? at - room * 2 : at - span + room * 2
    return clamp({ from, to: from + span }, duration)
  }
  return view
}

export interface Ticks {
  step: number
  ticks: number[]
}

/** Round times about `gap` pixels apart: 1, 2 or 5 times a power of ten. */
export function ticks(view: Viewport, width: number, gap = 110): Ticks {
  const rough = ((view.to - view.from) / Math.max(width, 1)) * gap
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)))
  const step = Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough)
  const found: number[] = []
  const first = Math.ceil(view.from / step) + 0 // never −0
  for (let index = first; index * step <= view.to; index += 1) found.push(index * step)
  return { step, ticks: found }
}
