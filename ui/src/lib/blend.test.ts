import { describe, expect, test } from 'vitest'
import type { Pixels } from './bars'
import { lay, wash } from './blend'

const pixels = (width: number, all: number[][]): Pixels => ({
  data: new Uint32Array(new Uint8Array(all.flat()).buffer),
  width,
  height: all.length / width,
})
const read = ({ data }: Pixels): number[][] => {
  const bytes = [...new Uint8Array(data.buffer)]
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.slice(index * 4, index * 4 + 4))
}
const NONE = [0, 0, 0, 0]
const RED = [200, 0, 0, 255]
const HALF = [0, 100, 0, 128]

describe('what is laid over pixels', () => {
  test('hides them where it is opaque, lets them through where it is not, and leaves them where it is clear', () => {
    const under = pixels(3, [RED, RED, RED])
    lay(under, pixels(3, [[0, 0, 9, 255], HALF, NONE]), 0, 0)
    expect(read(under)).toEqual([[0, 0, 9, 255], [100, 50, 0, 255], RED])
  })

  test('keeps its colour over nothing', () => {
    const under = pixels(1, [NONE])
    lay(under, pixels(1, [HALF]), 0, 0)
    expect(read(under)).toEqual([HALF])
  })

  test('is cut off at every edge', () => {
    for (const [x, y, place] of [
      [-1, -1, 0],
      [1, -1, 1],
      [-1, 1, 2],
      [1, 1, 3],
    ] as const) {
      const under = pixels(2, [NONE, NONE, NONE, NONE])
      lay(under, pixels(2, [RED, RED, RED, RED]), x, y)
      expect(read(under).map((one) => one[0])).toEqual([0, 1, 2, 3].map((each) => (each === place ? 200 : 0)))
    }
  })

  test('is a rectangle of one ink, as much of it as there is room for', () => {
    const under = pixels(2, [RED, RED, RED, RED])
    const [ink] = pixels(1, [HALF]).data
    wash(under, 1, -3, 9, 4, ink ?? 0)
    expect(read(under)).toEqual([RED, [100, 50, 0, 255], RED, RED])
  })
})
