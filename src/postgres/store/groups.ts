import type pg from 'pg'
import type { GroupName } from '../../model/partition.js'
import type { Decision, GroupRecord, Pause, Stop } from '../../ports/index.js'
import type { RecordTable, StoredRecord } from '../../storing/group-records.js'
import type { RecordChange } from '../../storing/group-rules.js'
import { answerTimeout, ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { inMs } from '../client/own-types.js'
import { postgresError } from '../client/pool.js'
import { multirangeOf, numbersIn } from './number-ranges.js'

interface Row {
  readonly group: string
  readonly stream: string
  readonly slices: number
  readonly generation: number
  readonly partitions: string
  readonly stopped: InJson<Stop> | null
  readonly paused: InJson<Pause> | null
  readonly paused_partitions: Readonly<Record<string, InJson<Pause>>>
  readonly version: number
  /** Ms since 1970. */
  readonly now_ms: string
}

type InJson<T extends Pause> = Omit<T, 'at'> & { readonly at: string }

/** SQLSTATE of a statement that collided with another one, in a database whose default isolation level is above read committed. */
const serializationFailure = '40001'

/** The table `consumer_groups`. Each write is one statement. */
export class PostgresGroups implements RecordTable {
  readonly #table: string
  readonly #changes: string

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
  ) {
    const schema = driver.escapeIdentifier(settings.schema)
    this.#table = `${schema}.consumer_groups`
    this.#changes = `${schema}.consumer_changes`
  }

  async find({ group, stream }: Partial<GroupName>): Promise<readonly (StoredRecord & { readonly now: Date })[]> {
    const rows = await this.#query<Row>(
      `select "group", stream, slices, generation, partitions::text, stopped, paused, paused_partitions, version,
         ${inMs('clock_timestamp()')} as now_ms
       from ${this.#table} where ($1::text is null or "group" = $1) and ($2::text is null or stream = $2)
       order by "group", stream`,
      [group ?? null, stream ?? null],
    )
    return rows.map((row) => ({ record: recordOf(row), version: row.version, now: new Date(Number(row.now_ms)) }))
  }

  async insert(record: GroupRecord): Promise<boolean> {
    const rows = await this.#query(
      `insert into ${this.#table} ("group", stream, slices, generation, partitions, stopped, paused, paused_partitions)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
       on conflict do nothing returning true`,
      columnsOf(record),
    )
    return rows.length > 0
  }

  async replace(version: number, { record, entry }: RecordChange, at: Date): Promise<boolean> {
    const { kind, by, why, partitions } = entry ?? { kind: null, by: null, why: null, partitions: [] }
    const rows = await this.#query(
      `with changed as (
         update ${this.#table} set slices = $3, generation = $4, partitions = $5, stopped = $6, paused = $7,
           paused_partitions = $8, version = version + 1, updated_at = now()
         where "group" = $1 and stream = $2 and version = $9
         returning "group", stream
       ), noted as (
         insert into ${this.#changes} ("group", stream, partition, kind, by, why, at)
         select changed."group", changed.stream, nullif(done.partition, -1), $11::text, $12::text, $13::text, $14::timestamptz
         from changed, unnest($10::int[]) with ordinality as done (partition, n) order by n
       )
       select true from changed`,
      // A null in an array is a text where array_nulls is off.
      [...columnsOf(record), version, partitions.map((partition) => partition ?? -1), kind, by, why, at],
    )
    return rows.length > 0
  }

  async delete({ group, stream }: GroupName, { by, why }: Decision): Promise<void> {
    await this.#query(
      `with gone as (delete from ${this.#table} where "group" = $1 and stream = $2)
       insert into ${this.#changes} ("group", stream, kind, by, why) values ($1, $2, 'deleted', $3, $4)`,
      [group, stream, by, why],
    )
  }

  async #query<R extends object>(text: string, values: unknown[]): Promise<R[]> {
    for (;;)
      try {
        return await ask<R>(this.pool, text, values, { within: answerTimeout })
      } catch (error) {
        // The statement changed nothing, and the other one has succeeded.
        if (error instanceof driver.DatabaseError && error.code === serializationFailure) continue
        throw postgresError(error, this.settings)
      }
  }
}

function recordOf({
  paused_partitions,
  partitions,
  stopped,
  paused,
  version: _,
  now_ms: __,
  ...row
}: Row): GroupRecord {
  const pauses = Object.entries(paused_partitions).map(
    ([partition, pause]) => [Number(partition), timed(pause)] as const,
  )
  return {
    ...row,
    partitions: numbersIn(partitions),
    stopped: stopped && timed(stopped),
    paused: { group: paused && timed(paused), partitions: new Map(pauses) },
  }
}

function columnsOf({ group, stream, slices, generation, partitions, stopped, paused }: GroupRecord): unknown[] {
  const pauses = Object.fromEntries(paused.partitions)
  return [group, stream, slices, generation, multirangeOf(partitions), stopped, paused.group, pauses]
}

function timed<T extends InJson<Pause>>(decision: T): Omit<T, 'at'> & { readonly at: Date } {
  return { ...decision, at: new Date(decision.at) }
}
