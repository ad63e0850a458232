import { api, ApiError } from '../lib/api'
import { counted } from '../lib/census'
import { shortLabels } from '../lib/names'
import type { Finding, Info, Process, Test } from '../lib/types'

/** Of more processes than these the page has those that tell most: to hold them all would make it slow. */
const MOST = 2000

/** And so many of those that somebody looked at besides. */
const GUESTS = 200

/** How long (ms) names are gathered before they are asked for. */
const SOON = 40

/** Processes whose names are asked for at once. */
const NAMES = 500

/** What is known of the whole recording: asked once, small, and the same for all views. */
class RecordingStore {
  info = $state.raw<Info | null>(null)
  /** In tree order: all; of very many those that tell most, and those that somebody looked at. */
  processes = $state.raw<Process[]>([])
  /** How many there are, and how many of those that are not told have nobody above them who is. */
  total = $state(0)
  more = $state(0)
  findings = $state.raw<Finding[] | null>(null)
  tests = $state.raw<Test[]>([])
  error = $state.raw<ApiError | null>(null)
  /** Set when the findings alone could not be had: the rest of the page works without them. */
  findingsError = $state.raw<ApiError | null>(null)
  /** Until when (ns) a program that still runs was looked through for findings. */
  lookedUntil = $state<number | null>(null)
  looking = $state(false)
  #version: string | null = null // of `processes`
  #guests: readonly number[] = []
  #counting: Promise<void> = Promise.resolve()
  #met = $state.raw<readonly Process[]>([]) // those of whom no more than a name was wanted
  readonly #unknown = new Set<number>() // whose names are asked for

  /** Whether there are processes that the page has not. */
  readonly partial = $derived(this.total > this.processes.length)
  readonly #known = $derived([...this.#met, ...this.processes])
  readonly byId = $derived(new Map(this.#known.map((process) => [process.process, process])))
  readonly short = $derived(shortLabels(this.#known))
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
    const [info, , { tests }] = await Promise.all([api.info(), this.#count(), api.tests()])
    this.info = info
    this.tests = tests
    this.error = null
    document.title = `${info.name} · ElixirScope`
  }

  /** One after the other: what is new is told to who has what was told before. */
  #count(): Promise<void> {
    const next = this.#counting.then(async () => {
      const told = await api.processes(this.#version, MOST, this.#guests)
      this.processes = counted(this.processes, told)
      this.#version = told.version ?? null
      this.total = told.total
      this.more = told.more
    })
    this.#counting = next.catch(() => undefined)
    return next
  }

  /** Has these processes among those that the page shows. */
  invite(processes: readonly number[]): void {
    if (!this.partial) return
    const there = new Set(this.processes.map((one) => one.process))
    const fresh = processes.filter((one) => one >= 0 && !there.has(one))
    if (fresh.length === 0) return
    this.#guests = [...new Set([...processes, ...this.#guests])].slice(0, GUESTS)
    this.#count().catch(() => undefined) // whoever asks next is told why
  }

  /** Numbers are others now: names are asked for anew. */
  forget(): void {
    this.#met = []
    this.#guests = []
    this.#unknown.clear()
  }

  /** Has the name of a process asked for, with those of others that are wanted now. */
  #meet(process: number): void {
    if (!this.partial || this.#unknown.has(process)) return
    if (this.#unknown.size === 0) setTimeout(() => void this.#ask(), SOON)
    this.#unknown.add(process)
  }

  async #ask(): Promise<void> {
    const wanted = [...this.#unknown].slice(0, NAMES)
    try {
      const { processes } = await api.only(wanted)
      this.#met = [...this.#met, ...processes]
    } catch {
      // They stay numbers until they are looked at again.
    }
    this.#unknown.clear()
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
    const known = this.short.get(process)
    if (known === undefined) this.#meet(process)
    return known ?? `process ${process}`
  }
}

export const asError = (reason: unknown): ApiError =>
  reason instanceof ApiError ? reason : new ApiError('page', String(reason))

export const recording = new RecordingStore()
