/** Characters of a text that are shown. */
const mostShown = 60

/** A value that was given, for people: text in quotes, and of other things only what they are. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > mostShown ? `'${value.slice(0, mostShown)}…'` : `'${value}'`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : value.toISOString()
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
