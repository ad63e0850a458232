import type { Pen, Scene } from './draw'
import { toX } from './scale'
import type { Arrow } from './types'

/** Messages travel from lane to lane; what was inferred, or passed through hidden processes, is dashed. */
export function arrows(pen: Pen, scene: Scene, focused = false): void {
  const { view, colours } = scene
  const visible = scene.messages.filter((message) => {
    const sent = message.sent_at ?? message.received_at ?? 0
    return (message.received_at ?? sent) >= view.from && sent <= view.to
  })
  const isNear = (message: Arrow): boolean => message.from === scene.near || message.to === scene.near
  // Many arrows fade, so that they show where there is traffic without hiding what goes on in the lanes.
  const quiet = Math.min(0.42, Math.max(0.07, 18 / visible.length))
  const loud = Math.min(0.9, Math.max(0.16, 40 / visible.filter(isNear).length))
  // Arrows that look alike are one path: a stroke for each would be most of the time of a frame.
  const styles = new Map<string, { style: Style; lines: Path2D; ends: Path2D }>()
  const middles = new Map(scene.boxes.map((box) => [box.process.process, box.top + box.height / 2]))
  for (const message of visible) {
    const from = message.from === null ? undefined : middles.get(message.from)
    const to = message.to === null ? undefined : middles.get(message.to)
    if (from === undefined || to === undefined || from === to) continue
    const near = isNear(message)
    const style: Style = {
      colour: message.kind === 'exit' || message.kind === 'down' ? colours.error : colours.message,
      alpha: focused ? 1 : near ? loud : quiet,
      width: focused ? 2 : near ? 1.3 : 1,
      dash: message.via.length > 0 ? [2, 4] : message.certain ? [] : [4, 3],
    }
    const key = `${style.colour} ${style.alpha} ${style.dash.length ? style.dash[0] : 0}`
    const found = styles.get(key) ?? { style, lines: new Path2D(), ends: new Path2D() }
    styles.set(key, found)
    arrow(found.lines, found.ends, scene, message, from, to)
  }
  for (const { style, lines, ends } of [...styles.values()].sort((a, b) => a.style.alpha - b.style.alpha)) {
    pen.strokeStyle = pen.fillStyle = style.colour
    pen.globalAlpha = style.alpha
    pen.lineWidth = style.width
    pen.setLineDash(style.dash)
    pen.stroke(lines)
    pen.fill(ends)
  }
  pen.setLineDash([])
  pen.globalAlpha = 1
}

interface Style {
  colour: string
  alpha: number
  width: number
  dash: number[]
}

function arrow(
  lines: Path2D,
  ends: Path2D,
  { view, width }: Scene,
  message: Arrow,
  from: number,
  to: number,
): void {
  const sent = message.sent_at ?? message.received_at ?? 0
  const x1 = toX(view, width, sent)
  const x2 = toX(view, width, message.received_at ?? sent)
  if (Math.max(x1, x2) < 0 || Math.min(x1, x2) > width) return
  const down = to > from ? 1 : -1
  const bend = Math.min(14, Math.abs(x2 - x1) / 2 + 4)
  lines.moveTo(x1, from)
  lines.bezierCurveTo(x1 + bend, from + down * 6, x2 - bend, to - down * 10, x2, to - down * 4)
  ends.moveTo(x2, to)
  ends.lineTo(x2 - 3.4, to - down * 6)
  ends.lineTo(x2 + 2.6, to - down * 6.4) // filled, it closes itself; `closePath` goes through the whole path each time
  ends.moveTo(x1 + 1.8, from)
  ends.arc(x1, from, 1.8, 0, Math.PI * 2)
}
