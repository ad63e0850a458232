import type { Pixels } from './bars'

/** An image that is written pixel by pixel, then copied onto a canvas. */
export interface Sheet {
  pixels: Pixels
  /** A colour of the theme as a pixel. */
  ink: (colour: string, alpha: number) => number
  /** What was written, to be copied. */
  finish: () => HTMLCanvasElement
}

let made: (Sheet & { width: number; height: number }) | null = null

/** An empty sheet of a size; there is one, which is used again and again. */
export function sheet(width: number, height: number): Sheet | null {
  if (width < 1 || height < 1) return null
  if (made?.width !== width || made.height !== height) made = make(width, height)
  made?.pixels.data.fill(0)
  return made
}

function make(width: number, height: number): typeof made {
  const surface = document.createElement('canvas')
  surface.width = width
  surface.height = height
  // Without a GPU in between: it is only ever written from here.
  const pen = surface.getContext('2d', { willReadFrequently: true })
  if (!pen) return null
  const image = pen.createImageData(width, height)
  const inks = new Map<string, number>()
  const ink = (colour: string, alpha: number): number => {
    const key = `${colour} ${alpha}`
    const known = inks.get(key)
    if (known !== undefined) return known
    pen.clearRect(0, 0, 1, 1)
    pen.fillStyle = colour
    pen.fillRect(0, 0, 1, 1)
    const one = pen.getImageData(0, 0, 1, 1).data
    one[3] = Math.round((one[3] ?? 0) * alpha)
    const found = new Uint32Array(one.buffer)[0] ?? 0
    inks.set(key, found)
    return found
  }
  const finish = (): HTMLCanvasElement => {
    pen.putImageData(image, 0, 0)
    return surface
  }
  return { width, height, pixels: { data: new Uint32Array(image.data.buffer), width, height }, ink, finish }
}

const read = new WeakMap<HTMLCanvasElement, Pixels>()

/** What is drawn on a small canvas that stays as it is: it is read once. */
export function pixelsOf(canvas: HTMLCanvasElement): Pixels {
  const known = read.get(canvas)
  if (known) return known
  const { width, height } = canvas
  const image = canvas.getContext('2d')?.getImageData(0, 0, width, height)
  const found = {
    data: image ? new Uint32Array(image.data.buffer) : new Uint32Array(width * height),
    width,
    height,
  }
  read.set(canvas, found)
  return found
}
