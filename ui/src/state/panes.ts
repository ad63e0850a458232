/** What Tab walks, in the order of the page, as far as it can be seen. */
const STOPS = 'a[href], button, input, select, textarea, [tabindex]'

const stops = (pane: Element): HTMLElement[] =>
  [...pane.querySelectorAll<HTMLElement>(STOPS)].filter(
    (one) => one.tabIndex >= 0 && !one.matches(':disabled') && one.getClientRects().length > 0,
  )

/** Gives the keyboard to the next panel, or the one before: to its tab in front, else the first thing in it. */
export function toPanel(by: 1 | -1): void {
  const panes = [...document.querySelectorAll('[data-pane]')].filter((pane) => stops(pane).length > 0)
  const here = panes.findIndex((pane) => pane.contains(document.activeElement))
  const next = panes[here < 0 && by < 0 ? panes.length - 1 : (here + by + panes.length) % panes.length]
  if (next) stops(next)[0]?.focus()
}
