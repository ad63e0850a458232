import { toX, type Viewport } from './scale'
import { count, duration } from './time'
import type { Test } from './types'

/** Where tests ran, as bars along the ruler. Pure. */

export interface TestBar {
  left: number // px
  width: number
  test: Test // what a click leads to: the first that failed, else the first
  failed: boolean
  title: string
}

const LEAST = 3 // px: a bar can be seen and pointed at
const APART = 2 // px
const NARROW = 12 // px

export const hasFailed = (test: Test): boolean => /fail|invalid|error/.test(test.result ?? '')

/** As it is written in the source, without the word that ExUnit puts before it. */
export const shortName = (test: Test): string => test.name.replace(/^test /, '')

const told = (test: Test): string =>
  [
    shortName(test),
    test.result ?? 'not finished',
    ...(test.end === null ? [] : [duration(test.end - test.start)]),
  ].join(' · ')

/** Tests as bars, those that failed last, above others that ran beside them; short ones that are near are one. */
export function testBars(tests: Test[], view: Viewport, width: number): TestBar[] {
  const runs: { left: number; right: number; of: Test[] }[] = []
  for (const test of tests) {
    const left = toX(view, width, test.start)
    const right = Math.max(left + LEAST, test.end === null ? width : toX(view, width, test.end))
    if (right < 0 || left > width) continue
    const last = runs.at(-1)
    if (last && right - left < NARROW && last.right - last.left < NARROW && left < last.right + APART) {
      last.right = Math.max(last.right, right)
      last.of.push(test)
    } else runs.push({ left, right, of: [test] })
  }
  return runs
    .map(({ left, right, of }): TestBar => {
      const failed = of.filter(hasFailed)
      const test = failed[0] ?? of[0]!
      const from = Math.max(0, left)
      const fate = failed.length === 0 ? 'none failed' : `${failed.length} failed: ${shortName(test)}`
      return {
        left: from,
        width: Math.max(LEAST, Math.min(width, right) - from),
        test,
        failed: failed.length > 0,
        title: of.length === 1 ? told(test) : `${count(of.length, 'test')}, ${fate}`,
      }
    })
    .sort((a, b) => Number(a.failed) - Number(b.failed))
}
