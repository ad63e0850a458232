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
