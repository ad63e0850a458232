/**
 * Calls back when everything that is being written into the page now is written, before the frame that draws it; gives
 * what calls it off. Whoever needs to know where things lie asks then: the page is laid out once for all of them, and
 * while it would wait for the frame anyway. Asked for in the frame, 4 ms of layout made it late.
 */
export function whenWritten(then: () => void): () => void {
  if (waiting.size === 0) tasks().postMessage(null)
  waiting.add(then)
  return () => waiting.delete(then)
}

const waiting = new Set<() => void>()
let port: MessagePort | null = null

/** A message is the soonest task that there is: timers come a millisecond or more later. */
function tasks(): MessagePort {
  if (port) return port
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = () => {
    const all = [...waiting]
    waiting.clear()
    for (const then of all) then()
  }
  return (port = port2)
}
