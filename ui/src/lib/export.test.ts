import { describe, expect, it } from 'vitest'
import { asJson, chain, flowchart, markdown, mermaid } from './export'
import type { Message } from './types'

const message = (kind: string, from: number | null, to: number, at: number, text: string): Message => ({
  message: at,
  kind,
  from,
  to,
  to_name: null,
  sent_at: at,
  received_at: at,
  handled_at: null,
  handle_call: null,
  sender_call: null,
  request: null,
  reply: null,
  tag: null,
  value: { id: null, text },
  certain: true,
  reason: null,
  send_event: at,
  receive_event: null,
})

describe('a small term as JSON', () => {
  it('is itself where both write it alike, else its text', () => {
    expect(['"A1"', '12', 'true', 'nil', ':ok', '{1}'].map(asJson)).toEqual([
      ...['"A1"', '12', 'true', 'null', '":ok"', '"{1}"'],
    ])
  })
})

describe('flowchart', () => {
  const node = (process: number, kind: string, alive = true) => ({
    ...{ process, label: '', kind, alive, activity: 0, mailbox: 0, memory: null },
  })

  it('draws processes and what is between them, and leaves out who is not shown', () => {
    const edge = { kind: 'message', certain: true, reason: null, count: 3 }
    const text = flowchart(
      [node(1, 'supervisor'), node(2, 'gen_server', false)],
      [
        { ...edge, source: 1, target: 2, kind: 'supervises' },
        { ...edge, source: 2, target: 1, certain: false },
        { ...edge, source: 2, target: 9 },
      ],
      (process) => (process === 1 ? 'Top' : 'a"];b'),
    )
    expect(text.split('\n')).toEqual([
      'flowchart TD',
      '  p0{{"Top"}}',
      '  p1("a#34;#93;#59;b (ended)")',
      '  p0 -->|supervises| p1',
      '  p1 -.->|3 ×| p0',
      '',
    ])
  })
})

describe('mermaid', () => {
  it('writes calls, casts and replies in the order of sending', () => {
    const text = mermaid(
      [
        message('reply', 2, 1, 9, ':ok'),
        message('call', 1, 2, 3, ':put'),
        message('cast', null, 2, 5, ':go'),
      ],
      (process) => (process === null ? 'outside' : `P ${process}`),
    )
    expect(text.split('\n')).toEqual([
      'sequenceDiagram',
      '  participant p0 as P 1',
      '  participant p1 as P 2',
      '  participant p2 as outside',
      '  p0->>p1: #58;put',
      '  p2-)p1: #58;go',
      '  p1-->>p0: #58;ok',
      '',
    ])
  })

  it('lets no recorded text become syntax', () => {
    const text = mermaid([message('info', 1, 2, 3, '<b>;end\nNote over p0: x')], () => 'a;b')
    expect(text.split('\n')).toHaveLength(5)
    expect(text).not.toMatch(/<|[^\d];/)
  })
})

describe('markdown', () => {
  it('escapes what Markdown and HTML would read', () => {
    expect(markdown('<script>[x](y)\n# z')).toBe('\\<script\\>\\[x\\]\\(y\\) \\# z')
  })
})

describe('a chain of causes as Mermaid', () => {
  it('points from cause to effect, and dots what is inferred', () => {
    const step = (event: number, edge: string | null, certain: boolean) => ({
      ...{ event, at: event, process: 1, label: `call "f"`, edge, certain, reason: null },
    })
    const text = chain([step(9, null, true), step(8, 'in', true), step(7, 'sent_by', false)], () => 'Seats')
    expect(text.split('\n')).toContain('  s1 -->|in| s0')
    expect(text.split('\n')).toContain('  s2 -.->|sent by| s1')
    expect(text).toContain('s0["Seats#58; call #34;f#34;"]')
  })
})
