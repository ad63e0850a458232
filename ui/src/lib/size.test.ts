import { describe, expect, it } from 'vitest'
import { SIZES, stepped, suited } from './size'

describe('the size that suits a screen', () => {
  it('is the plain one up to a large monitor', () => {
    for (const [width, height] of [
      [1280, 800],
      [1440, 900],
      [1920, 1080],
      [2400, 1350],
    ] as const)
      expect(suited(width, height)).toBe(1)
  })

  it('grows with a wall screen, as far as both its sides have room', () => {
    expect(suited(2560, 1440)).toBe(1.05)
    expect(suited(3840, 2160)).toBe(1.6)
    expect(suited(3840, 1080)).toBe(1)
    expect(suited(15360, 8640)).toBe(2.5)
  })
})

describe('stepping through sizes', () => {
  it('goes from any size to the next, and stays at the ends', () => {
    expect(stepped(1, 1)).toBe(1.15)
    expect(stepped(1.6, 1)).toBe(1.75)
    expect(stepped(1.6, -1)).toBe(1.5)
    expect(stepped(2.5, 1)).toBe(2.5)
    expect(stepped(0.9, -1)).toBe(0.9)
    let size: number = SIZES[0]
    for (const next of SIZES.slice(1)) expect((size = stepped(size, 1))).toBe(next)
  })
})
