import type { Finding, Moment, Process } from './types'

/** How the desk is set for a finding: the moment that tells most, the stretch of time, the processes that play. */

const ACTORS = /^(gen_server|gen_statem|agent|supervisor|task)$/

/**
 * The moment to open a finding at: the last in a process of the application's own, one inside a recorded
 * call before one without. That a test then failed is the consequence, not the story.
 */
export function crux(finding: Finding, processes: ReadonlyMap<number, Process>): Moment | null {
  const own = finding.evidence
    .map((one) => one.moment)
    .filter((moment) => {
      const process = moment.process === null ? undefined : processes.get(moment.process)
      return process !== undefined && process.module !== null && ACTORS.test(process.kind)
    })
  return (
    own.findLast((moment) => moment.call !== null) ?? own.at(-1) ?? finding.evidence.at(-1)?.moment ?? null
  )
}

/** From the first evidence to its crux. Null when that is a single instant. */
export function stretch(finding: Finding, end: Moment): [number, number] | null {
  const times = finding.evidence.map((one) => one.moment.at).filter((at) => at <= end.at)
  const first = Math.min(...times, end.at)
  return end.at > first ? [first, end.at] : null
}

const APART = 12 // px: what is nearer cannot be told from its neighbour
const AIR = 1.4 // of a stretch that is framed, its margins included

/**
 * The stretch to show a step of a story in, so that it stands apart from the step nearest to it, with as many of the others as
 * then still have room. Null when a view of `span` (ns) over `width` (px) around it does that already, or when there is no other.
 */
export function closeUp(times: number[], at: number, span: number, width: number): [number, number] | null {
  const others = [...new Set(times)].filter((time) => time !== at).sort((a, b) => a - b)
  const gap = Math.min(...others.map((time) => Math.abs(time - at)))
  if (others.length === 0 || (gap <= span * 0.4 && (gap / span) * width >= APART)) return null
  const room = Math.max(gap, (gap * width) / (APART * AIR))
  let [from, to] = [at, at]
  for (;;) {
    const before = others.findLast((time) => time < from)
    const after = others.find((time) => time > to)
    const wider = [
      ...(before === undefined ? [] : [[before, to] as [number, number]]),
      ...(after === undefined ? [] : [[from, after] as [number, number]]),
    ].sort((a, b) => a[1] - a[0] - (b[1] - b[0]))[0]
    if (!wider || wider[1] - wider[0] > room) return [from, to]
    ;[from, to] = wider
  }
}

/** The processes that a finding's evidence names. */
export function cast(finding: Finding): Set<number> {
  return new Set(finding.evidence.flatMap((one) => (one.moment.process === null ? [] : [one.moment.process])))
}

/** Tree order and depth of the processes that stay: each hangs below its nearest ancestor that stays. */
export function keep(processes: Process[], wanted: ReadonlySet<number>): Process[] {
  const above: { depth: number; kept: boolean }[] = []
  const found: Process[] = []
  for (const process of processes) {
    while (above.length > 0 && (above[above.length - 1]?.depth ?? 0) >= process.depth) above.pop()
    const kept = wanted.has(process.process)
    if (kept) found.push({ ...process, depth: above.filter((one) => one.kept).length })
    above.push({ depth: process.depth, kept })
  }
  return found
}

/**
 * What was said, without the envelope that OTP puts around it: `{:put, "A1"}` for
 * `{:"$gen_call", {#PID<0.1.0>, …}, {:put, "A1"}}`. What is no envelope stays as it is.
 */
export function payload(text: string): string {
  const envelope =
    /^\{:"\$gen_call", \{#PID<[\d.]+>, (?:\[:alias \| #Reference<[\d.]+>\]|#Reference<[\d.]+>)\}, |^\{:"\$gen_cast", |^\{(?:\[:alias \| #Reference<[\d.]+>\]|#Reference<[\d.]+>), /
  const found = envelope.exec(text)
  if (!found) return text
  const rest = text.slice(found[0].length)
  return rest.endsWith('}') ? rest.slice(0, -1) : rest
}
