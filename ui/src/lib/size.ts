/** How large everything is drawn: a desk is read from an arm's length, a wall screen from the other end of a room. */

/** What a person may choose; 1 is the size that the page is drawn for. */
export const SIZES = [0.9, 1, 1.15, 1.3, 1.5, 1.75, 2, 2.5] as const

const ROOM = { width: 2400, height: 1350 } // px that the whole desk fills well

/** The size that suits a screen of so many px: larger where there is more room than the desk has use for. */
export function suited(width: number, height: number): number {
  const wanted = Math.min(width / ROOM.width, height / ROOM.height)
  return Math.max(1, Math.min(2.5, Math.round(wanted * 20) / 20))
}

/** The next size up or down from any size. */
export function stepped(size: number, by: 1 | -1): number {
  const next = by > 0 ? SIZES.find((one) => one > size + 0.01) : SIZES.findLast((one) => one < size - 0.01)
  return next ?? SIZES[by > 0 ? SIZES.length - 1 : 0] ?? 1
}

export const percent = (size: number): string => `${Math.round(size * 100)} %`
