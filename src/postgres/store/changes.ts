import type pg from 'pg'
import type { DatabaseClient, HistoryEntry, OffsetFilter } from '../../ports/index.js'
import { answerTimeout, ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { inMs, timeOf } from '../client/own-types.js'
import { postgresError } from '../client/pool.js'

/** Conditions on the first three parameters of a statement. A parameter that is null matches every row. */
export const matching = `($1::text is null or "group" = $1) and ($2::text is null or stream = $2) and ($3::int is null or partition = $3)`

/** What was done to the whole group was done to each of its partitions. */
const matchingEntries = `($1::text is null or "group" = $1) and ($2::text is null or stream = $2)
  and ($3::int is null or partition = $3 or partition is null)`

export function pickedBy({ group, stream, partition }: OffsetFilter): unknown[] {
  return [group ?? null, stream ?? null, partition ?? null]
}

/** The table `consumer_changes`: what was done to groups and their positions, by whom and why. */
export class PostgresChanges implements ChangeLog {
  readonly #table: string

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
  ) {
    this.#table = `${driver.escapeIdentifier(settings.schema)}.consumer_changes`
  }

  async add({ group, stream, partition, kind, from, to, by, why }: Omit<HistoryEntry, 'at'>): Promise<void> {
    await this.#query(
      `insert into ${this.#table} ("group", stream, partition, kind, from_position, to_position, by, why)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [group, stream, partition, kind, from === null ? null : String(from), to === null ? null : String(to), by, why],
    )
  }

  async list({ limit, ...filter }: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]> {
    // Bigints are text.
    type Row = Omit<HistoryEntry, 'from' | 'to' | 'at'> & {
      from_position: string | null
      to_position: string | null
      at_ms: string | null
    }
    const rows = await this.#query<Row>(
      `select "group", stream, partition, kind, from_position, to_position, by, why, ${inMs('at')} as at_ms
       from ${this.#table} where ${matchingEntries} order by id desc limit $4`,
      [...pickedBy(filter), limit],
    )
    return rows.map(({ from_position, to_position, at_ms, ...row }) => ({
      ...row,
      at: timeOf(at_ms),
      from: from_position === null ? null : BigInt(from_position),
      to: to_position === null ? null : BigInt(to_position),
    }))
  }

  async #query<R extends object>(text: string, values: unknown[]): Promise<R[]> {
    try {
      return await ask<R>(this.pool, text, values, { within: answerTimeout })
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}

type ChangeLog = DatabaseClient['changes']
