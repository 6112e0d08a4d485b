import { dateOf } from '../../model/times.js'

/*
 * What the values mean that Tidemark's own statements return. Programs change the driver's parsers for the whole process
 * (`pg.types.setTypeParser`), and databases and roles change how values are written (DateStyle, extra_float_digits). So these statements
 * have parsers of their own, and return no dates and no floats: times are whole milliseconds.
 */

type Parser = (text: string) => unknown

/** By the types' ids in every Postgres. https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const parsers: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [16, (text) => text === 't'],
  [21, Number],
  [23, Number],
  [114, JSON.parse],
  [3802, JSON.parse],
])

/** For the `types` of a query. Whatever has no parser stays text, bigints too. */
export const ownTypes = {
  getTypeParser: (oid: number): Parser => parsers.get(oid) ?? asText,
}

/** SQL for a time as whole milliseconds since 1970, which `ownTypes` leave as text; null for an infinite one. */
export function inMs(time: string): string {
  return `case when isfinite(${time}) then floor(extract(epoch from ${time}) * 1000)::bigint end`
}

/** The time that `inMs` gave. */
export function timeOf(ms: string | null): Date | null {
  return ms === null ? null : dateOf(Number(ms))
}

function asText(text: string): string {
  return text
}
