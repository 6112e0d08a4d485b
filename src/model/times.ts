/** The last moment that a Date can be. */
const lastMoment = 8.64e15

/**
 * A time in ms since 1970 as a Date; null where it is none. Logs write -1 or 0 for an unknown time, and databases know infinities.
 */
export function dateOf(ms: number): Date | null {
  return ms > 0 && ms <= lastMoment ? new Date(ms) : null
}

const iso = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/

/**
 * The moment that text names, in ms since 1970: a day, or a day and a time, as ISO 8601 writes them; a space may stand for the `T`. Without
 * a zone it is UTC, so that a config means the same on every machine, and the command line the same as the config. Null for other text,
 * and for a day or an hour that there is not: JavaScript takes 2026-02-30 for a day in March.
 */
export function momentOf(text: string): number | null {
  const [, year, month, day, time = '00:00', zone = 'Z'] = iso.exec(text) ?? []
  if (year === undefined) return null
  const midnight = new Date(`${year}-${month}-01T00:00:00Z`)
  midnight.setUTCDate(Number(day))
  if (midnight.getUTCMonth() + 1 !== Number(month)) return null
  const moment = Date.parse(`${year}-${month}-${day}T${time}${zone}`)
  return Number.isNaN(moment) ? null : moment
}
