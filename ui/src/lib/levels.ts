import { functionName } from './names'
import type { Process, StackFrame } from './types'

/** How close one looks, from the whole system to a single value. Pure. */
export const LEVELS = ['system', 'application', 'process', 'function', 'line', 'value'] as const
export type Level = (typeof LEVELS)[number]

/** One level at the moment in focus. `label` is null where there is nothing: a process between its calls has no function. */
export interface Crumb {
  level: Level
  label: string | null
  about: string
}

interface Here {
  system: string
  application: string | null
  process: string | null
  frame: StackFrame | null
  line: { file: string; line: number } | null
  value: { name: string; text: string } | null
}

const base = (file: string): string => file.split('/').pop() ?? file

/** The six levels of a moment. */
export function crumbs({ system, application, process, frame, line, value }: Here): Crumb[] {
  const of = (level: Level, label: string | null, about: string, none: string): Crumb => ({
    level,
    label,
    about: label === null ? none : about,
  })
  return [
    of('system', system, 'The whole recording, with all processes', ''),
    of('application', application, `All processes of ${application}`, 'No process is in focus'),
    of('process', process, `The life of ${process}`, 'No process is in focus'),
    of(
      'function',
      frame && functionName(frame),
      'This call, from its beginning to its end',
      'No recorded call is under way in this process now',
    ),
    of(
      'line',
      line && `${base(line.file)}:${line.line}`,
      'Every time that this line ran, in the whole recording',
      'No recorded line runs now',
    ),
    of(
      'value',
      value && `${value.name} = ${value.text}`,
      'Where this value came from',
      'No variable is bound yet',
    ),
  ]
}

/** The nearest level from `from` on, in one direction, that has something to show; null when there is none. */
export function nearest(all: Crumb[], from: Level, by: 1 | -1): Level | null {
  for (let index = LEVELS.indexOf(from) + by; index >= 0 && index < all.length; index += by) {
    const crumb = all[index]
    if (crumb && crumb.label !== null) return crumb.level
  }
  return null
}

/** From the first start to the last end; `otherwise` for a process that did not end. Null without processes. */
export function lifetime(processes: Process[], otherwise: number): [number, number] | null {
  if (processes.length === 0) return null
  const start = Math.min(...processes.map((one) => one.start))
  return [start, Math.max(...processes.map((one) => one.end ?? otherwise), start + 1)]
}
