import { describe, expect, it } from 'vitest'
import { brief, clock, count, duration, exact, group, size } from './time'

describe('time', () => {
  it('prints durations to three digits with their unit', () => {
    expect(duration(812)).toBe('812 ns')
    expect(duration(12_000)).toBe('12 µs')
    expect(duration(1_240_000)).toBe('1.24 ms')
    expect(duration(44_218_317)).toBe('44.2 ms')
    expect(duration(100_000_000)).toBe('100 ms')
    expect(duration(2_000_000_000)).toBe('2 s')
    expect(duration(null)).toBe('–')
  })

  it('prints exact times to the nanosecond', () => {
    expect(exact(44_218_317)).toBe('44.218 317 ms')
    expect(exact(0)).toBe('0.000 000 ms')
    expect(exact(1_204_000_000_001 / 1000)).toBe('1,204.000 000 ms')
    expect(exact(-5)).toBe('−0.000 005 ms')
  })

  it('prints clock times as precisely as asked', () => {
    expect(clock(20_000_000, 20_000_000)).toBe('20 ms')
    expect(clock(20_500_000, 500_000)).toBe('20.5 ms')
    expect(clock(44_218_317, 1)).toBe('44,218.317 µs')
    expect(clock(1_500_000_000, 500_000_000)).toBe('1.5 s')
  })

  it('shortens counts', () => {
    expect([932, 1200, 66415, 999_600, 3_400_000].map(brief)).toEqual(['932', '1.2k', '66k', '1M', '3.4M'])
  })

  it('groups digits, scales sizes, counts', () => {
    expect(group(412318)).toBe('412,318')
    expect(group(999)).toBe('999')
    expect(size(999)).toBe('999 B')
    expect(size(4_120_000)).toBe('4.1 MB')
    expect(count(1, 'process', 'processes')).toBe('1 process')
    expect(count(0, 'process', 'processes')).toBe('0 processes')
  })
})
