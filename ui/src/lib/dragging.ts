/** Where a panel that is dragged would go. Pure but for the page's own attributes: `data-dock`, `data-tab`. */

import { type Dock, DOCKS, isPanel, type Panel } from './panels'

export interface Place {
  dock: Dock
  before: Panel | null
}

/** The dock under the pointer, and the tab before which the panel would stand. */
export function placeAt(x: number, y: number): Place | null {
  const under = document.elementFromPoint(x, y)
  const found = under?.closest<HTMLElement>('[data-dock]')?.dataset.dock
  const dock = DOCKS.find((one) => one === found)
  if (!dock) return null
  const tab = under?.closest<HTMLElement>('[data-tab]')
  if (!tab || !isPanel(tab.dataset.tab)) return { dock, before: null }
  const box = tab.getBoundingClientRect()
  if (x < box.left + box.width / 2) return { dock, before: tab.dataset.tab }
  const next = tab.nextElementSibling as HTMLElement | null
  return { dock, before: isPanel(next?.dataset.tab) ? next.dataset.tab : null }
}
