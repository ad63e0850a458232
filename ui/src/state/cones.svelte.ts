import { api } from '../lib/api'
import { count, group } from '../lib/time'
import { highlights } from './highlights.svelte'
import { menu } from './menu.svelte'

const MOST = 1000

/** Asks for everything that an event led to (or came from) and lets every view show it. */
class Cones {
  async show(event: number, direction: 'forward' | 'backward'): Promise<void> {
    try {
      const [{ steps, lines, functions }, picture] = await Promise.all([
        api.cone(event, direction, MOST),
        api.frame({ event, call: null, process: null }),
      ])
      const here = picture.event
      const own = here ? [{ at: here.at, process: here.process, event, title: here.label }] : []
      const all = [
        ...own,
        ...steps.map((step) => ({
          at: step.at,
          process: step.process,
          event: step.event,
          title: step.label,
        })),
      ]
      highlights.cone = {
        event,
        label: here?.label ?? `e${event}`,
        direction,
        cut: steps.length >= MOST,
        events: new Set([event, ...steps.map((step) => step.event)]),
        processes: new Set(all.map((one) => one.process)),
        steps: all,
        lines: new Map(Object.entries(lines).map(([file, all]) => [file, new Set(all)])),
        functions: new Set(functions),
      }
      menu.say(
        steps.length >= MOST
          ? `The nearest ${group(MOST)} events are shown in every view`
          : `${count(steps.length, 'event')} shown in every view`,
      )
    } catch (reason) {
      menu.say(reason instanceof Error ? reason.message : String(reason))
    }
  }

  hide(): void {
    highlights.cone = null
  }
}

export const cones = new Cones()
