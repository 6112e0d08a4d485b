import type pg from 'pg'
import { ask } from '../client/ask.js'
import { inMs } from '../client/own-types.js'
import type { Tables } from '../tables/event-tables.js'
import { timeToTheMicrosecond } from './event-witness.js'

/** Of an event whose `created_at` is infinite, as of a Kafka message without a time. */
const noTime = -1
/** Milliseconds; room for a slow network and values of many megabytes. */
const fetchTimeout = 60_000

export interface Row {
  readonly position: bigint
  readonly key: string | null
  readonly type: string | null
  /** The JSON document. */
  readonly data: string
  readonly headers: string | null
  /** Milliseconds since 1970, or -1. */
  readonly timestamp: number
  /** The same as `timeToTheMicrosecond` gives it. */
  readonly createdAt: string
}

export interface Rows {
  readonly rows: readonly Row[]
  /** Position behind the partition's last visible event. */
  readonly head: bigint
  /** Who answered; undefined without rows. */
  readonly server: string | undefined
}

export interface Wanted {
  readonly stream: string
  readonly partition: number
  readonly from: bigint
  /** Last position that may be read. */
  readonly safe: bigint
  readonly maxRows: number
  /** Rows beyond these bytes are left for the next fetch; the first row always comes. */
  readonly maxBytes: number
}

type Fields = [string, string | null, string | null, string, string | null, string | null, string, string, string]

/** One statement. The size counts as it is stored: values that Postgres compressed come out larger. */
export async function fetchRows(
  pool: pg.Pool,
  { events, logServer }: Pick<Tables, 'events' | 'logServer'>,
  wanted: Wanted,
): Promise<Rows> {
  const { stream, partition, from, safe, maxRows, maxBytes } = wanted
  const statement = `select position, key, type, data::text, headers::text, ${inMs('created_at')},
             ${timeToTheMicrosecond('created_at')}, (select max(position) from ${events} where stream = $1 and partition = $2), (select ${logServer}())
           from (
             select *, sum(pg_column_size(data)) over (order by position rows between unbounded preceding and 1 preceding) as before
             from ${events} where stream = $1 and partition = $2 and position >= $3 and position <= $4
             order by position limit $5
           ) candidates
           where before is null or before < $6
           order by position`
  const values = [stream, partition, String(from), String(safe), maxRows, maxBytes]
  const rows = await ask<Fields>(pool, statement, values, { within: fetchTimeout, rowMode: 'array' })
  const [first] = rows
  return { rows: rows.map(rowOf), head: first ? BigInt(first[7]) + 1n : from, server: first?.[8] }
}

function rowOf([position, key, type, data, headers, timestamp, createdAt]: Fields): Row {
  return {
    position: BigInt(position),
    key,
    type,
    data,
    headers,
    timestamp: timestamp === null ? noTime : Number(timestamp),
    createdAt,
  }
}

/** Bytes that a row takes in memory, about: its texts and what the objects around them cost. */
export function bytesOf({ key, data, headers }: Row): number {
  return 200 + data.length + (key?.length ?? 0) + (headers?.length ?? 0)
}
