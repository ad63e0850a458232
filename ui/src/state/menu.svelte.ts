import { desk } from './desk.svelte'

/** The one menu that may be open, and the word that is said after something was done. */

export interface Choice {
  title: string
  run: () => void
  /** What stands at its right: a kind, a count, a key. */
  hint?: string
  /** A heading above it. */
  group?: string
}

interface Open {
  x: number
  y: number
  label: string
  choices: Choice[]
  /** More of them, known later: what was recorded is asked for when the menu opens. */
  more: Promise<Choice[]> | null
  from: Element | null
}

class Menu {
  open = $state.raw<Open | null>(null)
  said = $state<string | null>(null)
  #timer: ReturnType<typeof setTimeout> | undefined

  /** Opens at the pointer, or below what has the keyboard's focus when the keyboard asked. */
  show(event: MouseEvent | KeyboardEvent, label: string, choices: Choice[], more?: Promise<Choice[]>): void {
    event.preventDefault()
    event.stopPropagation()
    const target = event.currentTarget instanceof Element ? event.currentTarget : null
    const pointed = event instanceof MouseEvent && (event.clientX !== 0 || event.clientY !== 0)
    const box = target?.getBoundingClientRect()
    this.open = {
      x: desk.px(pointed ? event.clientX : (box?.left ?? 0)),
      y: desk.px(pointed ? event.clientY : (box?.bottom ?? 0)),
      label,
      choices,
      more: more ?? null,
      from: document.activeElement,
    }
  }

  close(): void {
    const from = this.open?.from
    this.open = null
    if (from instanceof HTMLElement || from instanceof SVGElement) from.focus()
  }

  say(text: string): void {
    this.said = text
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => (this.said = null), 4000)
  }

  /** Puts a text on the clipboard and says so, or why not. */
  async copy(text: string, what: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text)
      this.say(`Copied ${what}`)
    } catch {
      this.say('The browser did not allow copying: its clipboard needs your permission for this page.')
    }
  }
}

export const menu = new Menu()
