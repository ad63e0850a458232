import type { GraphEdge, GraphNode, Message, Step } from './types'
import { payload } from './story'

/** What leaves the page by the clipboard: Mermaid, Markdown, and terms as JSON. */

/** Text that Mermaid reads as one label: what it takes for syntax is written as an entity. */
const label = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/[#;:<>"{}[\]|%]/g, (char) => `#${char.codePointAt(0) ?? 32};`)
    .trim()

/** A sequence diagram of messages in the order in which they were sent. */
export function mermaid(messages: Message[], name: (process: number | null) => string): string {
  const sorted = [...messages].sort(
    (a, b) => (a.sent_at ?? a.received_at ?? 0) - (b.sent_at ?? b.received_at ?? 0) || a.message - b.message,
  )
  const ids = new Map<number | null, string>()
  for (const { from, to } of sorted) {
    for (const one of [from, to]) if (!ids.has(one)) ids.set(one, `p${ids.size}`)
  }
  const arrow = (one: Message): string => (one.kind === 'reply' ? '-->>' : one.kind === 'call' ? '->>' : '-)')
  return [
    'sequenceDiagram',
    ...[...ids].map(([process, id]) => `  participant ${id} as ${label(name(process)) || 'outside'}`),
    ...sorted.map((one) => {
      const text = one.value ? payload(one.value.text) : (one.tag ?? one.kind)
      const short = text.length > 60 ? `${text.slice(0, 59)}…` : text
      return `  ${ids.get(one.from)}${arrow(one)}${ids.get(one.to)}: ${label(short) || one.kind}`
    }),
    '',
  ].join('\n')
}

/** A flowchart of processes: who supervises whom, and how many messages went where. What is inferred is dotted. */
export function flowchart(nodes: GraphNode[], edges: GraphEdge[], name: (process: number) => string): string {
  const ids = new Map(nodes.map((node, index) => [node.process, `p${index}`]))
  const shape = (node: GraphNode): string => {
    const text = `"${label(name(node.process))}${node.alive ? '' : ' (ended)'}"`
    return node.kind === 'supervisor' ? `{{${text}}}` : `(${text})`
  }
  return [
    'flowchart TD',
    ...nodes.map((node) => `  ${ids.get(node.process)}${shape(node)}`),
    ...edges.flatMap((edge) => {
      const [from, to] = [ids.get(edge.source), ids.get(edge.target)]
      if (from === undefined || to === undefined || from === to) return []
      const words = edge.kind === 'message' ? `${edge.count} ×` : edge.kind
      return [`  ${from} ${edge.certain ? '-->' : '-.->'}|${label(words)}| ${to}`]
    }),
    '',
  ].join('\n')
}

/**
 * A chain of events as Mermaid, arrows from cause to effect: each step is a cause of the one before it in the list,
 * or its effect where the list goes forward. What is inferred is dotted.
 */
export function chain(steps: Step[], name: (process: number) => string, backward = true): string {
  return [
    'flowchart TD',
    ...steps.map((step, index) => `  s${index}["${label(`${name(step.process)}: ${step.label}`)}"]`),
    ...steps.slice(1).map((step, index) => {
      const words = step.edge ? `|${label(step.edge.replaceAll('_', ' '))}|` : ''
      const [from, to] = backward ? [index + 1, index] : [index, index + 1]
      return `  s${from} ${step.certain ? '-->' : '-.->'}${words} s${to}`
    }),
    '',
  ].join('\n')
}

/** A small term as JSON: itself where both write it alike (`"A1"`, `12`, `true`), else its text as a string. */
export function asJson(term: string): string {
  if (term === 'nil') return 'null'
  try {
    return JSON.stringify(JSON.parse(term))
  } catch {
    return JSON.stringify(term)
  }
}

/** Text inside of Markdown, so that what was recorded stays text there too. */
export const markdown = (text: string): string =>
  text.replace(/\s+/g, ' ').replace(/[\\`*_{}[\]<>()#+!|~-]/g, (char) => `\\${char}`)
