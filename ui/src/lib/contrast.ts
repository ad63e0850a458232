/** Colours as a screen shows them: mixing, and contrast by WCAG 2.2 (relative luminance of sRGB). */

export type Rgb = readonly [number, number, number]

/** `#rrggbb`. */
export function rgb(hex: string): Rgb {
  const found = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(hex.trim())
  if (!found) throw new Error(`${hex} is no colour of the palette`)
  return [parseInt(found[1]!, 16), parseInt(found[2]!, 16), parseInt(found[3]!, 16)]
}

/** `share` (0 to 1) of one colour over another, as `color-mix` with transparent and an alpha do. */
export const over = (top: Rgb, share: number, below: Rgb): Rgb =>
  [0, 1, 2].map((at) => top[at]! * share + below[at]! * (1 - share)) as unknown as Rgb

/** 1 for the same colour, 21 for black and white. */
export function contrast(a: Rgb, b: Rgb): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((channel) => {
    const share = channel / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

/** As seen by somebody without one kind of cone (Viénot, Brettel and Mollon 1999; tritan after Brettel 1997, one plane). */
export type Deficiency = 'protan' | 'deutan' | 'tritan'

const SEEN: Record<Deficiency, readonly (readonly number[])[]> = {
  protan: [
    [0.11238, 0.88762, 0],
    [0.11238, 0.88762, 0],
    [0.00401, -0.00401, 1],
  ],
  deutan: [
    [0.29275, 0.70725, 0],
    [0.29275, 0.70725, 0],
    [-0.02234, 0.02234, 1],
  ],
  tritan: [
    [1, 0.14461, -0.14461],
    [0, 0.85924, 0.14076],
    [0, 0.85924, 0.14076],
  ],
}

const linear = (channel: number): number => (channel / 255) ** 2.2
const shown = (share: number): number => 255 * Math.max(0, Math.min(1, share)) ** (1 / 2.2)

export function seenBy(who: Deficiency, colour: Rgb): Rgb {
  const light = colour.map(linear)
  return SEEN[who].map((row) =>
    shown(row.reduce((sum, share, at) => sum + share * light[at]!, 0)),
  ) as unknown as Rgb
}

/** How far apart two colours are in CIELAB (ΔE 1976): 2 is just seen, 10 is seen at a glance. */
export function difference(a: Rgb, b: Rgb): number {
  const [x, y] = [lab(a), lab(b)]
  return Math.hypot(x[0] - y[0], x[1] - y[1], x[2] - y[2])
}

function lab(colour: Rgb): Rgb {
  const [r, g, b] = colour.map(linear) as [number, number, number]
  const f = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116)
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047)
  const y = f(0.2126 * r + 0.7152 * g + 0.0722 * b)
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883)
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}
