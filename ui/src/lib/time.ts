/** Times and amounts as people read them: units always, digits that line up. */

const UNITS: [number, string][] = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
]

/** A duration to three significant digits: `12 µs`, `1.24 ms`, `812 ns`. */
export function duration(ns: number | null | undefined): string {
  if (ns === null || ns === undefined) return '–'
  const size = Math.abs(ns)
  for (const [unit, name] of UNITS) {
    if (size >= unit) {
      const amount = ns / unit
      const digits = Math.abs(amount) >= 100 ? 0 : Math.abs(amount) >= 10 ? 1 : 2
      return `${trim(amount.toFixed(digits))} ${name}`
    }
  }
  return `${Math.round(ns)} ns`
}

const trim = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)

/** A time from the recording's start with nothing left out: `44.218 317 ms`, `1,204.000 001 ms`. */
export function exact(ns: number): string {
  const whole = Math.round(Math.abs(ns))
  const ms = Math.floor(whole / 1e6)
  const rest = String(whole % 1e6).padStart(6, '0')
  return `${ns < 0 ? '−' : ''}${group(ms)}.${rest.slice(0, 3)} ${rest.slice(3)} ms`
}

/** A time from the start, as precise as `resolution` (ns, at least 1) asks for, in the unit that suits it. */
export function clock(ns: number, resolution: number): string {
  const [unit, name] = resolution >= 1e8 ? [1e9, 's'] : resolution >= 1e3 ? [1e6, 'ms'] : [1e3, 'µs']
  const digits = Math.max(0, Math.ceil(Math.log10(unit / Math.max(resolution, 1)) - 1e-9))
  const [whole = '0', fraction] = Math.abs(ns / unit)
    .toFixed(digits)
    .split('.')
  return `${ns < 0 ? '−' : ''}${group(Number(whole))}${fraction ? `.${fraction}` : ''} ${name}`
}

/** A count with commas, as the command line prints it: `412,318`. */
export function group(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A size in bytes: `4.1 MB`. */
export function size(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB']
  let amount = bytes
  let index = 0
  while (amount >= 1000 && index < names.length - 1) {
    amount /= 1000
    index += 1
  }
  return `${index === 0 ? amount : trim(amount.toFixed(amount >= 100 ? 0 : 1))} ${names[index]}`
}

export const count = (amount: number, one: string, many = `${one}s`): string =>
  `${group(amount)} ${amount === 1 ? one : many}`

/** A count in at most four characters: `932`, `1.2k`, `66k`, `3.4M`. */
export function brief(amount: number): string {
  const [unit, name] = amount < 1e3 ? [1, ''] : amount < 999_500 ? [1e3, 'k'] : [1e6, 'M']
  const scaled = amount / unit
  return `${unit > 1 && scaled < 9.95 ? trim(scaled.toFixed(1)) : Math.round(scaled)}${name}`
}
