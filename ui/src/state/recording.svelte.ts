import { api, ApiError } from '../lib/api'
import { shortLabels } from '../lib/names'
import type { Finding, Info, Process, Test } from '../lib/types'

/** What is known of the whole recording: asked once, small, and the same for all views. */
class RecordingStore {
  info = $state.raw<Info | null>(null)
  processes = $state.raw<Process[]>([])
  findings = $state.raw<Finding[] | null>(null)
  tests = $state.raw<Test[]>([])
  error = $state.raw<ApiError | null>(null)
  /** Set when the findings alone could not be had: the rest of the page works without them. */
  findingsError = $state.raw<ApiError | null>(null)

  readonly byId = $derived(new Map(this.processes.map((process) => [process.process, process])))
  readonly short = $derived(shortLabels(this.processes))
  readonly duration = $derived(Math.max(this.info?.duration_ns ?? 1, 1))

  /** `shown`: fulfilled when lanes are drawn. Findings can take a second, and would make them wait. */
  async load(shown: Promise<void> = Promise.resolve()): Promise<void> {
    this.error = null
    try {
      const [info, found] = await Promise.all([api.info(), api.processes()])
      this.processes = found.processes
      this.info = info
      document.title = `${info.name} · ElixirScope`
    } catch (reason) {
      this.error = asError(reason)
      if (this.error.slug === 'unreachable') setTimeout(() => void this.load(shown), 2000)
      return
    }
    try {
      this.tests = (await api.tests()).tests
      await shown
      this.findings = (await api.findings()).findings
    } catch (reason) {
      this.findingsError = asError(reason)
      this.findings = []
    }
  }

  /** What a person calls a process; the outside of the recording has no number. */
  label(process: number | null | undefined): string {
    if (process === null || process === undefined || process < 0) return 'outside'
    return this.short.get(process) ?? `process ${process}`
  }
}

const asError = (reason: unknown): ApiError =>
  reason instanceof ApiError ? reason : new ApiError('page', String(reason))

export const recording = new RecordingStore()
