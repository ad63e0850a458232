import { type LaneBox, PAD, spanTop } from './lanes'
import type { Hue } from './names'
import { toX, type Viewport } from './scale'
import type { Arrow, Density, Lane, Mark, Span } from './types'

/** Draws the lanes on a canvas. Knows times, pixels and colours; nothing of the page. */

export type Colours = Record<
  Hue | 'ground' | 'panel' | 'raised' | 'line' | 'ink' | 'faint' | 'accent',
  string
>

export interface Scene {
  width: number
  height: number
  scroll: number
  view: Viewport
  boxes: LaneBox[]
  lanes: ReadonlyMap<number, Lane>
  start: number // where the lanes' first bucket begins
  messages: Arrow[]
  colours: Colours
  focus: { process: number | null; call: number | null; message: number | null }
  hover: number | null
}

type Pen = CanvasRenderingContext2D

const MARKS: Record<string, Hue> = {
  state: 'state',
  exception: 'error',
  exit: 'error',
  spawn: 'life',
  register: 'life',
  mark: 'mark',
  test: 'mark',
}

export function draw(pen: Pen, scene: Scene): void {
  pen.clearRect(0, 0, scene.width, scene.height)
  pen.save()
  pen.translate(0, -scene.scroll)
  const hatch = hatching(pen, scene.colours.faint)
  const shown = scene.boxes.filter(
    (box) => box.top + box.height > scene.scroll && box.top < scene.scroll + scene.height,
  )
  for (const box of shown) ground(pen, scene, box, hatch)
  for (const box of shown) {
    const lane = scene.lanes.get(box.process.process)
    if (lane?.density) density(pen, scene, box, lane.density)
    if (lane?.spans) spans(pen, scene, box, lane.spans, hatch)
  }
  arrows(pen, scene)
  for (const box of shown) marks(pen, scene, box, scene.lanes.get(box.process.process)?.marks ?? [])
  pen.restore()
}

function hatching(pen: Pen, colour: string): CanvasPattern | string {
  const tile = document.createElement('canvas')
  tile.width = tile.height = 6
  const ink = tile.getContext('2d')
  if (!ink) return colour
  ink.strokeStyle = colour
  ink.lineWidth = 1
  ink.beginPath()
  for (const at of [-6, 0, 6]) {
    ink.moveTo(at - 1, 7)
    ink.lineTo(at + 7, -1)
  }
  ink.stroke()
  return pen.createPattern(tile, 'repeat') ?? colour
}

/** The lane itself: its life, what of it was lost, and whether it is in focus. */
function ground(pen: Pen, scene: Scene, box: LaneBox, hatch: CanvasPattern | string): void {
  const { process } = box
  const { colours, view, width } = scene
  const focused = scene.focus.process === process.process
  const left = Math.max(-2, toX(view, width, process.start))
  const right = Math.min(width + 2, toX(view, width, process.end ?? Infinity))
  if (right > left) {
    pen.fillStyle = colours.raised
    pen.globalAlpha = focused ? 1 : 0.55
    pen.fillRect(left, box.top + 1, Math.max(1, right - left), box.height - 2)
    if (process.lost > 0) {
      pen.globalAlpha = 0.5
      pen.fillStyle = hatch
      pen.fillRect(left, box.top + 1, Math.max(1, right - left), box.height - 2)
    }
  }
  pen.globalAlpha = 1
  if (focused || scene.hover === process.process) {
    pen.fillStyle = colours.accent
    pen.globalAlpha = focused ? 0.09 : 0.04
    pen.fillRect(0, box.top, width, box.height)
    pen.globalAlpha = 1
  }
  pen.fillStyle = colours.line
  pen.fillRect(0, box.top + box.height - 1, width, 1)
  if (process.end !== null && right >= 0 && right <= width) {
    pen.fillStyle = process.exit_kind === 'crash' ? colours.error : colours.faint
    pen.fillRect(right - 1, box.top + 3, 1.5, box.height - 6)
  }
}

function density(pen: Pen, scene: Scene, box: LaneBox, data: Density): void {
  const { view, width, colours } = scene
  const start = scene.start
  const height = box.height - PAD
  let most = 1
  for (let index = 0; index < data.calls.length; index += 1) most = Math.max(most, total(data, index))
  const scale = height / Math.sqrt(most)
  const bottom = box.top + box.height - 2
  for (let index = 0; index < data.calls.length; index += 1) {
    const sum = total(data, index)
    const errors = data.errors[index] ?? 0
    const life = data.life[index] ?? 0
    if (sum === 0 && errors === 0 && life === 0) continue
    const left = toX(view, width, start + index * data.bucket_ns)
    const right = toX(view, width, start + (index + 1) * data.bucket_ns)
    if (right < 0 || left > width) continue
    const wide = Math.max(1, right - left - 0.4)
    const full = Math.max(2.5, Math.sqrt(sum) * scale)
    let y = bottom
    const parts: [Hue, number][] = [
      ['call', data.calls[index] ?? 0],
      ['message', data.messages[index] ?? 0],
      ['state', data.states[index] ?? 0],
    ]
    for (const [hue, amount] of parts) {
      if (amount === 0 || sum === 0) continue
      const high = Math.max(1, (amount / sum) * full)
      pen.fillStyle = colours[hue]
      pen.globalAlpha = 0.85
      pen.fillRect(left, y - high, wide, high)
      y -= high
    }
    pen.globalAlpha = 1
    if (errors > 0) {
      pen.fillStyle = colours.error
      pen.fillRect(left - 0.5, box.top + 2, Math.max(2, wide), box.height - 4)
    }
  }
}

const total = (data: Density, index: number): number =>
  (data.calls[index] ?? 0) + (data.messages[index] ?? 0) + (data.states[index] ?? 0)

function spans(pen: Pen, scene: Scene, box: LaneBox, all: Span[], hatch: CanvasPattern | string): void {
  const { view, width, colours } = scene
  pen.font = '11px ui-sans-serif, system-ui, sans-serif'
  pen.textBaseline = 'middle'
  for (const span of all) {
    const x = toX(view, width, span.start)
    const end = toX(view, width, span.end ?? Infinity)
    if (end < 0 || x > width) continue
    const left = Math.max(x, -4)
    const right = Math.min(Math.max(end, x + 1.5), width + 4)
    const top = spanTop(box, span.depth)
    const wide = right - left
    const focused = scene.focus.call === span.call
    const failed = span.outcome === 'raised'
    if (span.depth >= box.rows) {
      // Deeper frames share the last row: they cover the name of what called them.
      pen.fillStyle = colours.raised
      pen.fillRect(left, top, wide, box.row - 2)
    }
    pen.fillStyle = failed ? colours.error : colours.call
    pen.globalAlpha = focused ? 1 : span.external ? 0.22 : 0.34 + 0.3 / (1 + span.depth)
    pen.fillRect(left, top, wide, box.row - 2)
    pen.globalAlpha = 1
    if (span.end === null) {
      pen.fillStyle = hatch
      pen.fillRect(Math.max(left, right - 40), top, Math.min(40, wide), box.row - 2)
    }
    if (wide > 4) {
      pen.fillStyle = failed ? colours.error : colours.call
      pen.fillRect(left, top, 1.5, box.row - 2)
    }
    if (focused) {
      pen.strokeStyle = colours.accent
      pen.lineWidth = 1.5
      pen.strokeRect(left + 0.5, top - 0.5, Math.max(2, wide - 1), box.row - 1)
    }
    if (wide > 26) {
      pen.fillStyle = focused ? colours.ground : colours.ink
      pen.fillText(clip(pen, span.label, wide - 8), left + 5, top + box.row / 2 - 0.5)
    }
  }
}

function clip(pen: Pen, text: string, room: number): string {
  if (pen.measureText(text).width <= room) return text
  let high = text.length
  let low = 0
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= room) low = middle
    else high = middle - 1
  }
  return low < 2 ? '' : `${text.slice(0, low)}…`
}

/** Messages travel from lane to lane; what was inferred is dashed. */
function arrows(pen: Pen, scene: Scene): void {
  const { view, width, colours } = scene
  const middles = new Map(scene.boxes.map((box) => [box.process.process, box.top + box.height / 2]))
  const visible = scene.messages.filter((message) => {
    const sent = message.sent_at ?? message.received_at ?? 0
    return (message.received_at ?? sent) >= view.from && sent <= view.to
  })
  const isNear = (message: Arrow): boolean =>
    message.from === scene.focus.process || message.to === scene.focus.process
  // Many arrows fade, so that they show where there is traffic without hiding what goes on in the lanes.
  const quiet = Math.min(0.42, Math.max(0.07, 18 / visible.length))
  const loud = Math.min(0.9, Math.max(0.16, 40 / visible.filter(isNear).length))
  for (const message of visible) {
    const from = message.from === null ? undefined : middles.get(message.from)
    const to = message.to === null ? undefined : middles.get(message.to)
    if (from === undefined || to === undefined || from === to) continue
    const sent = message.sent_at ?? message.received_at ?? 0
    const x1 = toX(view, width, sent)
    const x2 = toX(view, width, message.received_at ?? sent)
    if (Math.max(x1, x2) < 0 || Math.min(x1, x2) > width) continue
    const focused = scene.focus.message === message.message
    const near = isNear(message)
    pen.strokeStyle = message.kind === 'exit' || message.kind === 'down' ? colours.error : colours.message
    pen.fillStyle = pen.strokeStyle
    pen.globalAlpha = focused ? 1 : near ? loud : quiet
    pen.lineWidth = focused ? 2 : near ? 1.3 : 1
    pen.setLineDash(message.certain ? [] : [4, 3])
    const down = to > from ? 1 : -1
    const bend = Math.min(14, Math.abs(x2 - x1) / 2 + 4)
    pen.beginPath()
    pen.moveTo(x1, from)
    pen.bezierCurveTo(x1 + bend, from + down * 6, x2 - bend, to - down * 10, x2, to - down * 4)
    pen.stroke()
    pen.setLineDash([])
    pen.beginPath()
    pen.moveTo(x2, to)
    pen.lineTo(x2 - 3.4, to - down * 6)
    pen.lineTo(x2 + 2.6, to - down * 6.4)
    pen.closePath()
    pen.fill()
    pen.beginPath()
    pen.arc(x1, from, 1.8, 0, Math.PI * 2)
    pen.fill()
  }
  pen.globalAlpha = 1
}

/** Shape says what hue says: diamond, cross, dot, ring, flag. Marks closer than a pixel are drawn once. */
function marks(pen: Pen, scene: Scene, box: LaneBox, all: Mark[]): void {
  const { view, width, colours } = scene
  const y = box.top + box.height / 2
  let before: string | null = null
  for (const mark of all) {
    const x = Math.round(toX(view, width, mark.at) * 2) / 2
    const place = `${mark.kind}${x}`
    if (x < -6 || x > width + 6 || place === before) continue
    before = place
    const calm = mark.kind === 'exit' && /:?normal|:?shutdown/.test(mark.label)
    symbol(pen, mark.kind, x, y, calm ? colours.faint : colours[MARKS[mark.kind] ?? 'mark'], colours.ground)
  }
}

export function symbol(pen: Pen, kind: string, x: number, y: number, colour: string, halo: string): void {
  const path = new Path2D()
  const open = kind === 'exception' || kind === 'exit' || kind === 'register'
  if (kind === 'state') {
    path.moveTo(x, y - 4.5)
    path.lineTo(x + 4.5, y)
    path.lineTo(x, y + 4.5)
    path.lineTo(x - 4.5, y)
    path.closePath()
  } else if (kind === 'exception' || kind === 'exit') {
    const r = kind === 'exception' ? 4.5 : 3.5
    path.moveTo(x - r, y - r)
    path.lineTo(x + r, y + r)
    path.moveTo(x + r, y - r)
    path.lineTo(x - r, y + r)
  } else if (kind === 'mark' || kind === 'test') {
    path.moveTo(x, y + 5)
    path.lineTo(x, y - 5)
    path.lineTo(x + 6, y - 2.5)
    path.lineTo(x, y)
    path.closePath()
  } else {
    path.arc(x, y, 3.2, 0, Math.PI * 2)
  }
  pen.lineWidth = open ? 4.5 : 2.5
  pen.strokeStyle = halo
  pen.globalAlpha = 0.8
  pen.stroke(path)
  pen.globalAlpha = 1
  if (open) {
    pen.lineWidth = 2
    pen.strokeStyle = colour
    pen.stroke(path)
  } else {
    pen.fillStyle = colour
    pen.fill(path)
  }
}
