/** The last moment that a Date can be. */
const lastMoment = 8.64e15

/**
 * A time in ms since 1970 as a Date; null where it is none. Logs write -1 or 0 for an unknown time, and databases know infinities.
 */
export function dateOf(ms: number): Date | null {
  return ms > 0 && ms <= lastMoment ? new Date(ms) : null
}

/** False for text that begins with a day which no calendar has, like 2026-02-30: JavaScript takes it for a day in March. */
export function namesRealDay(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)/.exec(text) ?? []
  if (year === undefined) return true
  const date = new Date(`${year}-${month}-01T00:00:00Z`)
  date.setUTCDate(Number(day))
  return date.getUTCMonth() + 1 === Number(month)
}

/** Whether text is a day, or a day and a time, as ISO 8601 writes them; a space may stand for the `T`. */
export function isIsoTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(text) && namesRealDay(text)
}
