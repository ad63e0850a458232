import { type Place, placeAt } from '../lib/dragging'
import type { Panel } from '../lib/panels'
import { desk } from './desk.svelte'
import { focus } from './focus.svelte'

const FAR = 6 // px before a press becomes a drag

/** A panel that follows the pointer from its tab or its heading to another place of the desk. */
class Dragging {
  place = $state.raw<Place | null>(null)
  x = $state(0)
  y = $state(0)

  /** Begins when the pointer has moved; a click stays a click. Escape gives up. */
  start(panel: Panel, event: PointerEvent): void {
    if (event.button !== 0) return
    const [left, top] = [event.clientX, event.clientY]
    const stop = new AbortController()
    const { signal } = stop
    const end = (): void => {
      stop.abort()
      desk.dragged = null
      this.place = null
    }
    const move = (now: PointerEvent): void => {
      if (desk.dragged === null && Math.hypot(now.clientX - left, now.clientY - top) < FAR) return
      desk.dragged = panel
      this.x = desk.px(now.clientX)
      this.y = desk.px(now.clientY)
      this.place = placeAt(now.clientX, now.clientY)
    }
    const drop = (): void => {
      const place = desk.dragged === null ? null : this.place
      if (desk.dragged !== null) {
        // The click that ends a drag chooses nothing.
        addEventListener('click', swallow, { capture: true, once: true })
        setTimeout(() => removeEventListener('click', swallow, true))
      }
      end()
      if (!place) return
      desk.move(panel, place.dock, place.before)
      focus.note()
    }
    addEventListener('pointermove', move, { signal })
    addEventListener('pointerup', drop, { signal })
    addEventListener('pointercancel', end, { signal })
    addEventListener('keydown', (key) => key.key === 'Escape' && end(), { signal })
  }
}

const swallow = (click: Event): void => click.stopPropagation()

export const dragging = new Dragging()
