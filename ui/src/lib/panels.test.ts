import { describe, expect, it } from 'vitest'
import { arranged, DOCKS, dockOf, move, NAMES, PRESETS, restore, show, standard, telling } from './panels'
import type { Picture } from './types'

const all = (now: ReturnType<typeof standard>): string[] => DOCKS.flatMap((dock) => now.docks[dock]).sort()

describe('panels', () => {
  it('stand in one dock each, one of them in front', () => {
    const now = standard()
    expect(all(now)).toEqual([...NAMES].sort())
    expect(now.front).toEqual({ left: 'findings', bottom: 'messages', upper: 'code', lower: 'state' })
  })

  it('move to another dock, before a given panel, and come to its front', () => {
    const now = move(standard(), 'state', 'bottom', 'calls')
    expect(now.docks.bottom.slice(0, 3)).toEqual(['messages', 'state', 'calls'])
    expect(now.front.bottom).toBe('state')
    expect(now.front.lower).toBe('values')
    expect(all(now)).toEqual([...NAMES].sort())
  })

  it('speak up when they have something to say about a moment', () => {
    const silent = { state: null, beside: null, bindings: [], event: null, stack: [], causes: [] }
    const about = (some: object) => telling({ ...silent, ...some } as unknown as Picture)
    expect(about({ beside: {}, bindings: [1] })).toBe('state')
    expect(about({ bindings: [1], stack: [1] })).toBe('values')
    expect(about({ event: { value: { id: 1, text: ':boom' } }, causes: [1] })).toBe('values')
    expect(about({ stack: [1], causes: [1] })).toBe('stack')
    expect(about({ event: { value: null }, causes: [1] })).toBe('why')
    expect(about({})).toBe('state')
  })

  it('leave an empty dock without a front', () => {
    const now = move(standard(), 'code', 'bottom')
    expect(now.docks.upper).toEqual([])
    expect(now.front.upper).toBeNull()
    expect(dockOf(now, 'code')).toBe('bottom')
  })

  it('reorder within a dock', () => {
    expect(move(standard(), 'query', 'bottom', 'messages').docks.bottom[0]).toBe('query')
    expect(move(standard(), 'query', 'bottom', 'query')).toEqual(standard())
  })

  it('come back as they were kept, and survive nonsense', () => {
    const now = show(move(move(standard(), 'code', 'bottom'), 'why', 'left', 'tests'), 'flow')
    expect(restore(JSON.parse(JSON.stringify(now)))).toEqual(now)
    for (const saved of [null, 4, 'x', {}, { docks: { left: ['nothing', 7], bottom: 'calls' }, front: [] }]) {
      expect(restore(saved)).toEqual(standard())
    }
  })

  it('keep every panel in each preset', () => {
    for (const preset of PRESETS) {
      const now = arranged(preset)
      expect(all(now)).toEqual([...NAMES].sort())
      for (const panel of preset.front) expect(now.front[dockOf(now, panel)]).toBe(panel)
    }
  })
})
