const second = 1_000
const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
] as const

/** A length of time for people, two digits or so: `0s`, `850ms`, `42s`, `3m12s`, `5h20m`, `12d4h`. `-` for null and what is no length. */
export function age(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return '-'
  if (ms < second) return ms < 1 ? '0s' : `${Math.round(ms)}ms`
  for (const [index, [unit, length]] of units.entries()) {
    if (ms < length) continue
    const [lower, lowerLength] = units[index + 1] ?? ['s', second]
    const rest = Math.floor((ms % length) / lowerLength)
    return `${Math.floor(ms / length)}${unit}${rest ? `${rest}${lower}` : ''}`
  }
  return `${Math.floor(ms / second)}s`
}

/** How long ago an ISO time was, `-` for null and what is no time. */
export function ago(time: string | null, now = Date.now()): string {
  return time === null ? '-' : age(Math.max(0, now - Date.parse(time)))
}

/** `2026-07-01 08:00:00Z`; `-` for null. */
export function when(time: Date | null): string {
  if (time === null) return '-'
  return time.toISOString().replace('T', ' ').replace(/\.\d+/, '')
}

export function counted(count: number | bigint, what: string): string {
  return `${count} ${what}${BigInt(count) === 1n ? '' : 's'}`
}
