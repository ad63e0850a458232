import { lay, wash } from './blend'
import type { Pen, Scene } from './draw'
import type { LaneBox } from './lanes'
import type { Hue } from './names'
import { toX } from './scale'
import { pixelsOf, type Sheet } from './sheet'
import type { Mark } from './types'

const MARKS: Record<string, Hue> = {
  state: 'state',
  exception: 'error',
  exit: 'error',
  spawn: 'life',
  register: 'life',
  mark: 'mark',
  test: 'mark',
}

/** Marks of one kind that would lie over each other: drawn as a bar between the first and the last. */
interface Run {
  mark: Mark
  first: number // px
  last: number
}

const CLOSE = 9 // px

/** Where marks are put: their middle, and the bar of a run, in px of the lanes. */
interface Press {
  stamp: (image: HTMLCanvasElement, x: number, y: number) => void
  bar: (colour: string, left: number, y: number, right: number) => void
}

const THICK = 3 // px of a bar
const BAR_ALPHA = 0.75

/** As shapes of the canvas. */
export const onCanvas = (pen: Pen): Press => ({
  stamp: (image, x, y) => pen.drawImage(image, x - STAMP / 2, y - STAMP / 2, STAMP, STAMP),
  bar: (colour, left, y, right) => {
    pen.fillStyle = colour
    pen.globalAlpha = BAR_ALPHA
    pen.fillRect(left, y - THICK / 2, right - left, THICK)
    pen.globalAlpha = 1
  },
})

/** As pixels of a sheet that covers what is in sight of the lanes. */
export const onSheet = ({ pixels, ink }: Sheet, { scroll, scale }: Scene): Press => ({
  stamp: (image, x, y) =>
    lay(
      pixels,
      pixelsOf(image),
      Math.round((x - STAMP / 2) * scale),
      Math.round((y - scroll - STAMP / 2) * scale),
    ),
  bar: (colour, left, y, right) =>
    wash(
      pixels,
      Math.round(left * scale),
      Math.round((y - scroll - THICK / 2) * scale),
      Math.round((right - left) * scale),
      Math.round(THICK * scale),
      ink(colour, BAR_ALPHA),
    ),
})

/** Shape says what hue says: diamond, cross, dot, ring, flag. What went wrong is always drawn as itself. */
export function marks(press: Press, scene: Scene, box: LaneBox, all: Mark[]): void {
  const { view, width, colours } = scene
  const y = box.top + box.height / 2
  const put = (mark: Mark, x: number): void => {
    const colour = mark.calm ? colours.faint : colours[MARKS[mark.kind] ?? 'mark']
    press.stamp(stamp(mark.kind, colour, colours.ground, scene.scale), x, y)
  }
  const finish = ({ mark, first, last }: Run): void => {
    if (last > first) press.bar(colours[MARKS[mark.kind] ?? 'mark'], first, y, last)
    put(mark, first)
    if (last - first >= CLOSE) put(mark, last)
  }
  const runs = new Map<string, Run>()
  for (const mark of all) {
    const x = Math.round(toX(view, width, mark.at) * 2) / 2
    if (x < -6 || x > width + 6) continue
    const run = runs.get(mark.kind)
    const reach = mark.kind === 'exception' || mark.kind === 'exit' ? 1 : CLOSE
    if (run && x - run.last < reach) run.last = x
    else {
      if (run) finish(run)
      runs.set(mark.kind, { mark, first: x, last: x })
    }
  }
  for (const run of runs.values()) finish(run)
}

const STAMP = 18 // px
const stamps = new Map<string, HTMLCanvasElement>()

/** A symbol drawn once for each kind, colour and density of pixels, then copied. */
function stamp(kind: string, colour: string, halo: string, scale: number): HTMLCanvasElement {
  const key = `${kind} ${colour} ${halo} ${scale}`
  const known = stamps.get(key)
  if (known) return known
  const made = document.createElement('canvas')
  made.width = made.height = Math.ceil(STAMP * scale)
  const pen = made.getContext('2d')
  pen?.scale(scale, scale)
  if (pen) symbol(pen, kind, STAMP / 2, STAMP / 2, colour, halo)
  stamps.set(key, made)
  return made
}

function symbol(pen: Pen, kind: string, x: number, y: number, colour: string, halo: string): void {
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
