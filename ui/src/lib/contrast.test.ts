import { describe, expect, it } from 'vitest'
import css from '../app.css?raw'
import { contrast, type Deficiency, difference, over, rgb, type Rgb, seenBy } from './contrast'

type Palette = Record<string, string>

function palette(selector: string): Palette {
  const block = css.slice(css.indexOf(`${selector} {`))
  const body = block.slice(0, block.indexOf('\n}'))
  return Object.fromEntries([...body.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((one) => [one[1]!, one[2]!]))
}

const THEMES = { dark: palette(':root'), light: palette(":root[data-theme='light']") }
const TEXT = ['ink', 'ink-2', 'ink-3', 'call', 'message', 'state', 'error', 'life', 'mark', 'accent']
const HUES = ['call', 'message', 'state', 'error', 'life', 'mark']

/** A half-transparent colour of the palette, `rgb(r g b / a)`, over another. */
function tint(text: string, below: Rgb): Rgb {
  const found = /rgb\((\d+) (\d+) (\d+) \/ ([\d.]+)\)/.exec(text)
  if (!found) throw new Error(`${text} is no tint`)
  return over([Number(found[1]), Number(found[2]), Number(found[3])], Number(found[4]), below)
}

/** Everything that text stands on: the grounds, and the tints that views put over them. */
function grounds(colours: Palette): Record<string, Rgb> {
  const of = (name: string): Rgb => rgb(colours[name]!)
  const panel = of('panel')
  return {
    ground: of('ground'),
    panel,
    raised: of('raised'),
    hover: of('hover'),
    'panel, chosen': over(of('accent'), 0.15, panel),
  }
}

describe.each(Object.entries(THEMES))('the palette of the %s theme', (_, colours) => {
  const of = (name: string): Rgb => rgb(colours[name]!)

  it('is all there', () => {
    for (const name of [...TEXT, 'on-accent', 'line-strong', 'add', 'remove'])
      expect(colours[name]).toBeTruthy()
  })

  it('has text that can be read on every ground (4.5 : 1)', () => {
    const short = Object.entries(grounds(colours)).flatMap(([where, ground]) =>
      TEXT.map((name) => [`${name} on ${where}`, contrast(of(name), ground)] as const).filter(
        ([, ratio]) => ratio < 4.5,
      ),
    )
    expect(short.map(([pair, ratio]) => `${pair}: ${ratio.toFixed(2)}`)).toEqual([])
  })

  it('has text that can be read where it stands back (4.5 : 1)', () => {
    for (const where of ['ground', 'panel', 'raised'])
      expect(contrast(of('dim'), of(where)), where).toBeGreaterThanOrEqual(4.5)
  })

  it('has text that can be read on what is filled with a hue', () => {
    const pairs: [string, Rgb, Rgb][] = [
      ['on-accent on accent', of('on-accent'), of('accent')],
      ['ground on error', of('ground'), of('error')],
      ['ground on message', of('ground'), of('message')],
      ['ground on ink', of('ground'), of('ink')],
      ['ink on what was added', of('ink'), tint(colours.add!, of('panel'))],
      ['ink on what was removed', of('ink'), tint(colours.remove!, of('panel'))],
    ]
    const short = pairs.filter(([, a, b]) => contrast(a, b) < 4.5).map(([pair]) => pair)
    expect(short).toEqual([])
  })

  it('has marks and the outline of the focus that can be seen (3 : 1)', () => {
    for (const name of [...HUES, 'accent'])
      for (const where of ['ground', 'panel'])
        expect(contrast(of(name), of(where)), `${name} on ${where}`).toBeGreaterThanOrEqual(3)
  })

  it.each(['protan', 'deutan', 'tritan'] as Deficiency[])('keeps its hues apart for %s eyes', (who) => {
    const near: string[] = []
    HUES.forEach((one, index) => {
      for (const other of HUES.slice(index + 1)) {
        const apart = difference(seenBy(who, of(one)), seenBy(who, of(other)))
        if (apart < 10) near.push(`${one} and ${other}: ${apart.toFixed(1)}`)
      }
    })
    expect(near).toEqual([])
  })
})

describe('contrast', () => {
  it('is that of the standard', () => {
    expect(contrast(rgb('#000000'), rgb('#ffffff'))).toBeCloseTo(21)
    expect(contrast(rgb('#777777'), rgb('#ffffff'))).toBeCloseTo(4.48, 1)
    expect(difference(rgb('#123456'), rgb('#123456'))).toBe(0)
    expect(seenBy('deutan', rgb('#ffffff')).map(Math.round)).toEqual([255, 255, 255])
  })
})
