/** A length of time: milliseconds as a number, or text like `'250ms'`, `'30s'`, `'5m'`, `'2h'`, `'7d'`. */
export type Duration = number | string
/** An amount of memory: bytes as a number, or text like `'512KB'`, `'8MB'`, `'1GB'` (1 KB = 1024 bytes). */
export type Size = number | string

const milliseconds: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const bytes: Record<string, number> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }

/** Milliseconds of a duration, or undefined when it can't be read as one. */
export function parseDuration(value: Duration): number | undefined {
  return parse(value, /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/, milliseconds)
}

/** Bytes of a size, or undefined when it can't be read as one. */
export function parseSize(value: Size): number | undefined {
  return parse(value, /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)$/, bytes)
}

function parse(value: number | string, form: RegExp, units: Record<string, number>): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined
  const match = form.exec(value.trim())
  return match ? Math.round(Number(match[1]) * units[match[2]!]!) : undefined
}
