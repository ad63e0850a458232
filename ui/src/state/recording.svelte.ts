import { api, ApiError } from '../lib/api'
import { counted } from '../lib/census'
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
  /** Until when (ns) a program that still runs was looked through for findings. */
  lookedUntil = $state<number | null>(null)
  looking = $state(false)
  #version: string | null = null // of `processes`

  readonly byId = $derived(new Map(this.processes.map((process) => [process.process, process])))
  readonly short = $derived(shortLabels(this.processes))
  readonly duration = $derived(Math.max(this.info?.duration_ns ?? 1, 1))

  /**
   * Everything, once. `live`: whether it is still being made. `shown`: fulfilled when lanes are drawn; findings can take
   * a second, and would make them wait.
   */
  async load(live: Promise<boolean>, shown: Promise<void> = Promise.resolve()): Promise<void> {
    try {
      await this.renew()
    } catch (reason) {
      this.error = asError(reason)
      return
    }
    if (await live) return // what went wrong can be told when the program has ended
    await shown
    await this.investigate()
  }

  /** Asks anew for all but the findings. Rejects as `api` does, and leaves what there is. */
  async renew(): Promise<void> {
    const [info, told, { tests }] = await Promise.all([api.info(), api.processes(this.#version), api.tests()])
    this.processes = counted(this.processes, told)
    this.#version = told.version ?? null
    this.info = info
    this.tests = tests
    this.error = null
    document.title = `${info.name} · ElixirScope`
  }

  async investigate(): Promise<void> {
    try {
      this.findings = (await api.findings()).findings
      this.findingsError = null
    } catch (reason) {
      this.findingsError = asError(reason)
      this.findings = []
    }
  }

  /** What went wrong until now, in a program that still runs. */
  async look(): Promise<void> {
    if (this.looking) return
    const until = this.duration
    this.looking = true
    await this.investigate()
    this.lookedUntil = until
    this.looking = false
  }

  /** What a person calls a process; the outside of the recording has no number. */
  label(process: number | null | undefined): string {
    if (process === null || process === undefined || process < 0) return 'outside'
    return this.short.get(process) ?? `process ${process}`
  }
}

export const asError = (reason: unknown): ApiError =>
  reason instanceof ApiError ? reason : new ApiError('page', String(reason))

export const recording = new RecordingStore()
