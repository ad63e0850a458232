import { api } from '../lib/api'
import { type Crumb, crumbs, type Level, lifetime, nearest } from '../lib/levels'
import { functionName } from '../lib/names'
import { payload } from '../lib/story'
import { brief, duration, exact } from '../lib/time'
import { focus } from './focus.svelte'
import { lanes } from './lanes.svelte'
import type { Choice } from './menu.svelte'
import { passings } from './passings.svelte'
import { recording } from './recording.svelte'
import { stage } from './stage.svelte'
import { viewport } from './viewport.svelte'

const MOST = 60 // choices in a list of what is one level closer

/** How close one looks: the levels of the moment in focus, going to one of them, and what there is one level closer. */
class Levels {
  readonly #picture = $derived(focus.picture.value)
  readonly #frame = $derived(
    this.#picture?.stack.find((one) => one.call === this.#picture?.moment.call) ??
      this.#picture?.stack[0] ??
      null,
  )
  readonly #process = $derived(recording.byId.get(focus.process ?? -1) ?? null)
  readonly #line = $derived.by(() => {
    const source = this.#picture?.source
    const line = source?.line ?? null
    return source && line !== null ? { file: source.file, line } : null
  })
  /** The value that is followed, else the variable that was bound last. */
  readonly #value = $derived.by(() => {
    const { origin } = focus
    const all = this.#picture?.bindings ?? []
    const named = all.find((one) => one.name === origin?.name && one.event === origin.event)
    return named ?? all.reduce<(typeof all)[number] | null>((a, b) => (a && a.at > b.at ? a : b), null)
  })

  readonly crumbs = $derived.by((): Crumb[] =>
    crumbs({
      system: recording.info?.name ?? '',
      application: this.#process && (stage.applications.get(this.#process.process) ?? null),
      process: this.#process && recording.label(this.#process.process),
      frame: this.#frame,
      line: this.#line,
      value: this.#value && { name: this.#value.name, text: this.#value.value.text },
    }),
  )

  #gone = $state.raw<{ level: Level; signature: string } | null>(null)
  readonly #signature = $derived(`${viewport.view.from} ${viewport.view.to} ${stage.cast} ${focus.process}`)
  /** The level that was gone to, as long as it is what is in view. */
  readonly current = $derived(this.#gone?.signature === this.#signature ? this.#gone.level : null)

  go(level: Level): void {
    const process = this.#process
    if (level === 'system') {
      lanes.search = ''
      stage.cast = 'all'
      viewport.fit()
    } else if (level === 'application' && process) this.#application(stage.applications.get(process.process))
    else if (level === 'process' && process) this.#life(process.process)
    else if (level === 'function' && this.#frame) {
      const { start, end } = this.#frame
      viewport.frame(start, end ?? recording.duration)
      focus.show('calls')
    } else if (level === 'line' && this.#line) {
      focus.show('code')
      passings.open(this.#line.file, this.#line.line)
    } else if (level === 'value' && this.#value) {
      const { event, name } = this.#value
      focus.trace({ event, name, title: name })
    } else return
    this.#gone = { level, signature: this.#signature }
  }

  /** One level closer, or one farther away. */
  step(by: 1 | -1): void {
    const next = nearest(this.crumbs, this.current ?? (by > 0 ? 'system' : 'value'), by)
    if (next) this.go(next)
  }

  /** What there is one level closer than this one: known at once, or asked for. */
  inside(level: Level): { choices: Choice[]; more?: Promise<Choice[]> } {
    if (level === 'system') return { choices: this.#applications() }
    if (level === 'application') return { choices: this.#processes() }
    if (level === 'process') return this.#calls()
    if (level === 'function') return { choices: this.#lines() }
    return { choices: this.#values() }
  }

  #application(name: string | undefined): void {
    if (name === undefined) return
    const members = recording.processes.filter((one) => stage.applications.get(one.process) === name)
    lanes.search = ''
    // What is the platform's stands folded in a group of its own.
    if (!members.some((one) => viewport.coded.has(one.process)))
      lanes.folds = { ...lanes.folds, platform: false }
    stage.application = name
    stage.cast = 'application'
    const life = lifetime(members, recording.duration)
    if (life) viewport.set({ from: life[0], to: life[1] })
  }

  #life(process: number): void {
    const one = recording.byId.get(process)
    if (!one) return
    lanes.search = ''
    stage.cast = 'process'
    const at = Math.min(Math.max(focus.moment?.at ?? 0, one.start), one.end ?? recording.duration)
    if (focus.process !== process) focus.at(at, process)
    viewport.frame(one.start, one.end ?? recording.duration)
  }

  #applications(): Choice[] {
    const counts = new Map<string, number>()
    for (const one of recording.processes) {
      const name = stage.applications.get(one.process) ?? ''
      counts.set(name, (counts.get(name) ?? 0) + 1 + one.more)
    }
    return [...counts].map(([title, count]) => ({
      title,
      hint: `${count} ${count === 1 ? 'process' : 'processes'}`,
      run: () => {
        this.#application(title)
        this.#gone = { level: 'application', signature: this.#signature }
      },
    }))
  }

  #processes(): Choice[] {
    const name = stage.applications.get(this.#process?.process ?? -1)
    const at = focus.moment?.at ?? 0
    const alive = (one: { start: number; end: number | null }): boolean =>
      one.start <= at && (one.end ?? Infinity) >= at
    const all = recording.processes.filter((one) => stage.applications.get(one.process) === name)
    const now = all.filter(alive)
    const choice = (one: (typeof all)[number], index: number, group: string): Choice => ({
      title: recording.label(one.process),
      hint: `${brief(one.events)} events`,
      ...(index === 0 ? { group } : {}),
      run: () => {
        this.#life(one.process)
        this.#gone = { level: 'process', signature: this.#signature }
      },
    })
    return [
      ...now.map((one, index) => choice(one, index, 'Alive at this moment')),
      ...all.filter((one) => !alive(one)).map((one, index) => choice(one, index, 'Before or after')),
    ].slice(0, MOST)
  }

  #calls(): { choices: Choice[]; more?: Promise<Choice[]> } {
    const process = this.#process?.process
    const { from, to } = viewport.view
    const stack = (this.#picture?.stack ?? [])
      .filter((one) => one.process === process)
      .map((one, index): Choice => ({
        title: functionName(one),
        hint: one.end === null ? 'did not return' : duration(one.end - one.start),
        ...(index === 0 ? { group: 'On the stack at this moment' } : {}),
        run: () => {
          focus.frame(one.call)
          viewport.frame(one.start, one.end ?? recording.duration)
          focus.show('calls')
          this.#gone = { level: 'function', signature: this.#signature }
        },
      }))
    if (process === undefined) return { choices: stack }
    const more = api.calls(process, Math.max(0, from), to).then(({ calls }) =>
      calls.slice(0, MOST).map((one, index): Choice => ({
        title: functionName(one),
        hint: exact(one.start),
        ...(index === 0 ? { group: 'Outermost calls in view' } : {}),
        run: () => {
          focus.go({ at: one.start, process: one.process, event: one.call, call: null })
          viewport.frame(one.start, one.end ?? recording.duration)
          focus.show('calls')
          this.#gone = { level: 'function', signature: this.#signature }
        },
      })),
    )
    return { choices: stack, more }
  }

  /** The lines around this one that ran. */
  #lines(): Choice[] {
    const source = this.#picture?.source
    if (!source) return []
    const here = source.line ?? source.first
    return source.executed
      .toSorted((a, b) => Math.abs(a.line - here) - Math.abs(b.line - here))
      .slice(0, MOST)
      .toSorted((a, b) => a.line - b.line)
      .map(({ line, hits }) => ({
        title: `${line}  ${(source.lines[line - source.first] ?? '').trim().slice(0, 60)}`,
        hint: `${brief(hits)}×`,
        run: () => {
          focus.show('code')
          passings.open(source.file, line)
          this.#gone = { level: 'line', signature: this.#signature }
        },
      }))
  }

  #values(): Choice[] {
    return (this.#picture?.bindings ?? []).slice(-MOST).map((one) => ({
      title: `${one.name} = ${payload(one.value.text).slice(0, 60)}`,
      hint: one.line === null ? '' : `line ${one.line}`,
      run: () => {
        focus.trace({ event: one.event, name: one.name, title: one.name })
        this.#gone = { level: 'value', signature: this.#signature }
      },
    }))
  }
}

export const levels = new Levels()
