import { arrows } from './arrows'
import { bars } from './bars'
import { HEAD, type Head, type LaneBox, PAD, spanTop } from './lanes'
import { marks, onCanvas, onSheet } from './marks'
import type { Hue } from './names'
import { toX, type Viewport } from './scale'
import { sheet } from './sheet'
import type { Arrow, Lane, Span } from './types'

/** Draws the lanes on a canvas. Knows times, pixels and colours; nothing of the page. */

export type Colours = Record<
  Hue | 'ground' | 'panel' | 'raised' | 'line' | 'ink' | 'faint' | 'accent',
  string
>

export interface Scene {
  width: number
  height: number
  scale: number // pixels of the screen for each px
  scroll: number
  view: Viewport
  boxes: LaneBox[]
  heads: Head[]
  lanes: ReadonlyMap<number, Lane>
  start: number // where the lanes' first bucket begins
  messages: Arrow[]
  colours: Colours
  near: number | null // whose arrows stand out
  doubtful: ReadonlySet<number> // they lost events, and nobody knows when
}

/** What of a scene is in focus. It is drawn over the scene, which stays as it is while the focus moves. */
export interface Lit {
  process: number | null
  call: number | null
  message: number | null
}

export type Pen = CanvasRenderingContext2D
type Fill = CanvasPattern | string

export function draw(pen: Pen, scene: Scene): void {
  pen.clearRect(0, 0, scene.width, scene.height)
  pen.save()
  pen.translate(0, -scene.scroll)
  const hatch = hatching(pen, scene.colours.faint)
  const inSight = ({ top }: { top: number }, height: number): boolean =>
    top + height > scene.scroll && top < scene.scroll + scene.height
  const shown = scene.boxes.filter((box) => inSight(box, box.height))
  for (const head of scene.heads) if (inSight(head, HEAD)) heading(pen, scene, head)
  for (const box of shown) ground(pen, scene, box, hatch)
  // Where nothing comes between bars and marks, thousands of marks are pixels of the same image.
  const plain = scene.messages.length === 0 && !shown.some((box) => laneOf(scene, box)?.spans?.length)
  const marked = density(pen, scene, shown, plain)
  for (const box of shown) {
    const found = laneOf(scene, box)?.spans
    if (found) spans(pen, scene, box, found, hatch)
  }
  arrows(pen, scene)
  if (!marked) for (const box of shown) marks(onCanvas(pen), scene, box, laneOf(scene, box)?.marks ?? [])
  pen.restore()
}

const laneOf = (scene: Scene, box: LaneBox): Lane | undefined => scene.lanes.get(box.process.process)

interface Found {
  box: LaneBox | undefined
  span: Span | undefined
  message: Arrow | undefined
}

function found(scene: Scene, lit: Lit): Found {
  const box = scene.boxes.find((one) => one.process.process === lit.process)
  const span = box && scene.lanes.get(box.process.process)?.spans?.find((one) => one.call === lit.call)
  const message = scene.messages.find((one) => one.message === lit.message && one.via.length === 0)
  return { box, span, message }
}

/** Whether anything in focus can be seen. */
export function isLit(scene: Scene, lit: Lit): boolean {
  const { span, message } = found(scene, lit)
  return span !== undefined || message !== undefined
}

/** Draws the frame and the message in focus, and nothing else. */
export function light(pen: Pen, scene: Scene, lit: Lit): void {
  pen.clearRect(0, 0, scene.width, scene.height)
  const { box, span, message } = found(scene, lit)
  pen.save()
  pen.translate(0, -scene.scroll)
  if (box && span) spans(pen, scene, box, [span], hatching(pen, scene.colours.faint), true)
  if (message) arrows(pen, { ...scene, messages: [message] }, true)
  pen.restore()
}

const hatches = new Map<string, Fill>()

/** Not recorded is a texture, never blank. Made once for each colour. */
function hatching(pen: Pen, colour: string): Fill {
  const known = hatches.get(colour)
  if (known !== undefined) return known
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
  const made = pen.createPattern(tile, 'repeat') ?? colour
  hatches.set(colour, made)
  return made
}

function heading(pen: Pen, scene: Scene, head: Head): void {
  pen.fillStyle = scene.colours.panel
  pen.fillRect(0, head.top, scene.width, HEAD)
  pen.fillStyle = scene.colours.line
  pen.fillRect(0, head.top + HEAD - 1, scene.width, 1)
}

/** The lane itself: its life, and what of it was lost. */
function ground(pen: Pen, scene: Scene, box: LaneBox, hatch: Fill): void {
  const { process } = box
  const { colours, view, width } = scene
  const left = Math.max(-2, toX(view, width, process.start))
  const right = Math.min(width + 2, toX(view, width, process.end ?? Infinity))
  if (right > left) {
    pen.fillStyle = colours.raised
    pen.globalAlpha = 0.55
    pen.fillRect(left, box.top + 1, Math.max(1, right - left), box.height - 2)
    if (scene.doubtful.has(process.process)) {
      pen.globalAlpha = 0.5
      pen.fillStyle = hatch
      pen.fillRect(left, box.top + 1, Math.max(1, right - left), box.height - 2)
    }
  }
  pen.globalAlpha = 1
  pen.fillStyle = colours.line
  pen.fillRect(0, box.top + box.height - 1, width, 1)
  if (process.end !== null && right >= 0 && right <= width) {
    pen.fillStyle = process.exit_kind === 'crash' ? colours.error : colours.faint
    pen.fillRect(right - 1, box.top + 3, 1.5, box.height - 6)
  }
}

/** The bars of all lanes in sight, as one image over them; with their marks if so wanted. Whether those were drawn. */
function density(pen: Pen, scene: Scene, boxes: LaneBox[], marked: boolean): boolean {
  const { view, width, height, scale, scroll, start, colours } = scene
  const dense = boxes.flatMap((box) => {
    const found = laneOf(scene, box)?.density
    return found ? [{ box, found }] : []
  })
  if (dense.length === 0) return false
  const image = sheet(Math.round(width * scale), Math.round(height * scale))
  if (!image) return false
  const inks = {
    call: image.ink(colours.call, 0.85),
    message: image.ink(colours.message, 0.85),
    state: image.ink(colours.state, 0.85),
    error: image.ink(colours.error, 1),
  }
  const left = toX(view, width, start) * scale
  for (const { box, found } of dense) {
    const place = {
      left,
      per: (found.bucket_ns / (view.to - view.from)) * width * scale,
      top: Math.round((box.top - scroll + PAD - 2) * scale),
      bottom: Math.round((box.top - scroll + box.height - 2) * scale),
      scale,
    }
    bars(image.pixels, found, place, inks)
  }
  if (marked)
    for (const box of boxes) marks(onSheet(image, scene), scene, box, laneOf(scene, box)?.marks ?? [])
  pen.drawImage(image.finish(), 0, scroll, width, height)
  return marked
}

function spans(pen: Pen, scene: Scene, box: LaneBox, all: Span[], hatch: Fill, focused = false): void {
  const { view, width, colours } = scene
  pen.font = '11px Inter, ui-sans-serif, system-ui, sans-serif'
  pen.textBaseline = 'middle'
  for (const span of all) {
    const x = toX(view, width, span.start)
    const end = toX(view, width, span.end ?? Infinity)
    if (end < 0 || x > width) continue
    const left = Math.max(x, -4)
    const right = Math.min(Math.max(end, x + 1.5), width + 4)
    const top = spanTop(box, span.depth)
    const wide = right - left
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

const widths = new Map<string, number>()

/** As much of a label as there is room for. Labels repeat thousands of times: each is measured once. */
function clip(pen: Pen, text: string, room: number): string {
  let width = widths.get(text)
  if (width === undefined) {
    if (widths.size > 20_000) widths.clear()
    width = pen.measureText(text).width
    widths.set(text, width)
  }
  if (width <= room) return text
  const keep = Math.floor((text.length * room) / width) - 1
  return keep < 2 ? '' : `${text.slice(0, keep)}…`
}
