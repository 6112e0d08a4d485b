/** What tells an event from another one that took its position in a log that was set back. */
export interface EventWitness {
  /** Decimal. */
  readonly position: string
  /** Seconds since 1970, with all digits that Postgres has. */
  readonly createdAt: string
}

/**
 * SQL for a time as seconds since 1970 with all digits: a numeric, and a float8 before Postgres 14. Nothing is computed with it, since that
 * costs more, row by row, than sending it.
 */
export function timeToTheMicrosecond(time: string): string {
  return `extract(epoch from ${time})`
}

/**
 * An event as the text that is kept with a position; undefined where its time is infinite. A dump keeps the time and so does a redaction,
 * whereas `xmin` and the row's place in the table change with both.
 */
export function witnessOf({
  position,
  createdAt,
}: {
  readonly position: bigint
  readonly createdAt: string
}): string | undefined {
  return createdAt.endsWith('Infinity') ? undefined : `${position}@${createdAt}`
}

/** The event in such a text; null where there is none. */
export function eventIn(witness: string | null | undefined): EventWitness | null {
  const [, position, createdAt] = /^(-?\d{1,18})@(-?\d{1,13}(?:\.\d{1,6})?)$/.exec(witness ?? '') ?? []
  return position === undefined || createdAt === undefined ? null : { position, createdAt }
}
