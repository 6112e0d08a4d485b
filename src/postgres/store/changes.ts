import pg from 'pg'
import type { DatabaseClient, OffsetChange, OffsetFilter } from '../../ports/index.js'
import { answerTimeout, ask } from '../client/ask.js'
import type { PostgresSettings } from '../client/options.js'
import { postgresError } from '../client/pool.js'

/** The first three parameters of a statement pick rows; null means any. */
export const matching = `($1::text is null or "group" = $1) and ($2::text is null or stream = $2) and ($3::int is null or partition = $3)`

export function pickedBy({ group, stream, partition }: OffsetFilter): unknown[] {
  return [group ?? null, stream ?? null, partition ?? null]
}

/** The table `consumer_changes`: who put positions somewhere else, and why. */
export class PostgresChanges implements ChangeLog {
  readonly #table: string

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
  ) {
    this.#table = `${pg.escapeIdentifier(settings.schema)}.consumer_changes`
  }

  async add({ group, stream, partition, kind, from, to, by, why }: Omit<OffsetChange, 'at'>): Promise<void> {
    await this.#query(
      `insert into ${this.#table} ("group", stream, partition, kind, from_position, to_position, by, why)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [group, stream, partition, kind, from === null ? null : String(from), String(to), by, why],
    )
  }

  async list({ limit, ...filter }: OffsetFilter & { readonly limit: number }): Promise<readonly OffsetChange[]> {
    // pg gives bigints as text.
    type Row = Omit<OffsetChange, 'from' | 'to'> & { from_position: string | null; to_position: string }
    const rows = await this.#query<Row>(
      `select "group", stream, partition, kind, from_position, to_position, by, why, at
       from ${this.#table} where ${matching} order by id desc limit $4`,
      [...pickedBy(filter), limit],
    )
    return rows.map(({ from_position, to_position, ...row }) => ({
      ...row,
      from: from_position === null ? null : BigInt(from_position),
      to: BigInt(to_position),
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
