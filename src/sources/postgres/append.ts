import { z } from 'zod'
import { TidemarkError } from '../../model/errors.js'
import { checked } from '../../postgres/options.js'
import { streamFields } from './options.js'
import { tablesIn } from './tables.js'
import { type Connection, onTarget, type Target, withoutTables } from './target.js'

export interface NewEvent {
  /** Events of one key keep their order: they share a partition. Without a key, any partition. */
  readonly key?: string | null
  /** Anything that JSON can say. */
  readonly value: unknown
  /** Reaches consumers as the header `type`. */
  readonly type?: string | null
  readonly headers?: Readonly<Record<string, string | null>>
}

export interface Appended {
  readonly count: number
  /** Offset of the last event; null when there was none. Final only once the transaction commits. */
  readonly lastPosition: bigint | null
}

/** Rows of one statement: parsing larger ones costs more memory than the saved round trips are worth. */
const rowsPerStatement = 5_000

const options = z.strictObject({ stream: streamFields.stream, schema: streamFields.schema })

/**
 * Appends events, in their order, all or none. With a client the events join its open transaction, so that they are there
 * exactly when the rest of the transaction is.
 *
 * The partition is computed in the database: the first 32 bits of `md5(key)` as an unsigned number, modulo the stream's number
 * of partitions (`tidemark.partition_of(key, partitions)` for those who insert by SQL).
 *
 * @throws TidemarkError STREAM_NOT_FOUND; CONFIG_INVALID for an event that JSON can't say
 */
export async function appendEvents(
  target: Target,
  stream: string,
  events: readonly NewEvent[],
  given: { readonly schema?: string } = {},
): Promise<Appended> {
  const { schema } = checked('appendEvents', options, { stream, ...given })
  const parts = split(events.map(columnsOf))
  if (parts.length === 0) return { count: 0, lastPosition: null }
  return onTarget(target, (connection) =>
    parts.length === 1
      ? insert(connection, stream, schema, parts[0]!)
      : together(connection, () => insertAll(connection, stream, schema, parts)),
  )
}

type Columns = readonly [key: string | null, type: string | null, data: string, headers: string | null]

function columnsOf({ key, type, value, headers }: NewEvent, index: number): Columns {
  const data = value === undefined ? undefined : JSON.stringify(value)
  if (data === undefined)
    throw new TidemarkError('CONFIG_INVALID', `appendEvents.events.${index}.value: must be something that JSON can say`)
  return [key ?? null, type ?? null, data, headers ? JSON.stringify(headers) : null]
}

function split(rows: readonly Columns[]): Columns[][] {
  const parts: Columns[][] = []
  for (let from = 0; from < rows.length; from += rowsPerStatement) parts.push(rows.slice(from, from + rowsPerStatement))
  return parts
}

async function insertAll(
  connection: Connection,
  stream: string,
  schema: string,
  parts: Columns[][],
): Promise<Appended> {
  let all: Appended = { count: 0, lastPosition: null }
  for (const part of parts) {
    const { count, lastPosition } = await insert(connection, stream, schema, part)
    all = { count: all.count + count, lastPosition }
  }
  return all
}

async function insert(connection: Connection, stream: string, schema: string, part: Columns[]): Promise<Appended> {
  const { events, streams, partitionOf } = tablesIn(schema)
  const column = (index: 0 | 1 | 2 | 3) => part.map((row) => row[index])
  const { rows } = await connection
    .query(
      `with appended as (
         insert into ${events} (stream, partition, key, type, data, headers)
         select s.stream, ${partitionOf}(e.key, s.partitions), e.key, e.type, e.data, e.headers
         from ${streams} s, unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[]) with ordinality e (key, type, data, headers, n)
         where s.stream = $1 order by e.n
         returning position
       ) select count(*)::int as count, max(position) as last from appended`,
      [stream, column(0), column(1), column(2), column(3)],
    )
    .catch((error) => {
      throw withoutTables(error, schema)
    })
  const [row] = rows as { count: number; last: string | null }[]
  if (!row?.last)
    throw new TidemarkError(
      'STREAM_NOT_FOUND',
      `there is no stream '${stream}' in schema '${schema}': create it with createStream`,
      { place: { stream } },
    )
  return { count: row.count, lastPosition: BigInt(row.last) }
}

/** Several statements as one: a client that is in no transaction gets one for them. */
async function together<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  const status = Reflect.get(connection, 'getTransactionStatus') as (() => string | null) | undefined
  // The answer to a statement brings the status up to date, also when a BEGIN before it was not awaited.
  if (status) await connection.query('select 1')
  if (status?.call(connection) !== 'I') return work()
  await connection.query('begin')
  try {
    const result = await work()
    await connection.query('commit')
    return result
  } catch (error) {
    await connection.query('rollback').catch(() => {})
    throw error
  }
}
