import { TidemarkError } from '../../model/errors.js'
import type { NewEvent } from '../../ports/index.js'
import { isWellFormed } from '../../ports/text.js'
import { type Connection, noStream, tablesIn, withoutTables } from '../tables/event-tables.js'
import { asJson, problemOfForm } from './event-checks.js'

export interface Appended {
  readonly count: number
  /** Offset of the last event; null when there was none. Final only once the transaction commits. */
  readonly lastPosition: bigint | null
}

/** Rows of one statement: parsing larger ones costs more memory than the saved round trips are worth. */
const rowsPerStatement = 5_000

/** An event as a row, without nulls: in arrays they are a text where array_nulls is off. Key and type are empty, or begin with `=`. */
type Columns = readonly [key: string, type: string, data: string, headers: string]
/** What `partsOf` makes of events. */
export type Parts = readonly (readonly Columns[])[]

/** U+0000 and lone surrogates as JSON writes them; behind a backslash of its own it is another text. */
const unholdable = /(?<!\\)(?:\\\\)*\\u(0000|d[89a-f][\da-f]{2})/

function columnsOf(event: NewEvent, index: number): Columns {
  const problem = problemOfForm(event)
  if (problem) throw refused(index, problem.field, problem.why)
  const { key, type, value, headers } = event
  for (const [field, text] of Object.entries({ key, type })) {
    if (typeof text !== 'string') continue
    if (text.includes('\0')) throw refused(index, field, "Postgres can't hold U+0000 in a text")
    if (!isWellFormed(text))
      throw refused(
        index,
        field,
        "holds what UTF-8 can't say, as the key of a message whose bytes are no text does; " +
          "write such bytes in another way, for example keyBytes.toString('hex')",
      )
  }
  const said = asJson(value)
  if ('why' in said) throw refused(index, 'value', said.why)
  const data = said.json
  const noted = headers ? JSON.stringify(headers) : ''
  for (const [field, json] of Object.entries({ value: data, headers: noted })) {
    const found = json.includes('\\u') ? unholdable.exec(json) : null
    if (!found) continue
    const what = found[1] === '0000' ? 'U+0000' : 'a lone surrogate'
    throw refused(index, field, `Postgres can't hold ${what} in a text`)
  }
  return [orEmpty(key), orEmpty(type), data, noted]
}

function refused(index: number, field: string | undefined, why: string): TidemarkError {
  return new TidemarkError(
    'CONFIG_INVALID',
    `appendEvents.events.${index}${field === undefined ? '' : `.${field}`}: ${why}`,
  )
}

function orEmpty(text: string | null | undefined): string {
  return text === null || text === undefined ? '' : `=${text}`
}

/**
 * Events as rows, in pieces of one statement each.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function partsOf(events: readonly NewEvent[]): Parts {
  if (!Array.isArray(events)) throw new TidemarkError('CONFIG_INVALID', 'appendEvents.events: must be a list of events')
  const rows = (events as readonly NewEvent[]).map(columnsOf)
  const parts: Columns[][] = []
  for (let from = 0; from < rows.length; from += rowsPerStatement) parts.push(rows.slice(from, from + rowsPerStatement))
  return parts
}

/**
 * Appends events, all or none; they join the transaction that is open on the connection.
 *
 * @throws TidemarkError STREAM_NOT_FOUND
 */
export function insertEvents(connection: Connection, stream: string, schema: string, parts: Parts): Promise<Appended> {
  return parts.length === 1
    ? insert(connection, stream, schema, parts[0]!)
    : together(connection, () => insertAll(connection, stream, schema, parts))
}

async function insertAll(connection: Connection, stream: string, schema: string, parts: Parts): Promise<Appended> {
  let all: Appended = { count: 0, lastPosition: null }
  for (const part of parts) {
    const { count, lastPosition } = await insert(connection, stream, schema, part)
    all = { count: all.count + count, lastPosition }
  }
  return all
}

async function insert(
  connection: Connection,
  stream: string,
  schema: string,
  part: readonly Columns[],
): Promise<Appended> {
  const { events, streams, partitionOf } = tablesIn(schema)
  const column = (index: 0 | 1 | 2 | 3) => part.map((row) => row[index])
  const { rows } = await connection
    .query(
      `with appended as (
         insert into ${events} (stream, partition, key, type, data, headers)
         select s.stream, ${partitionOf}(e.key, s.partitions), e.key, e.type, e.data, e.headers
         from ${streams} s, (
           select substr(nullif(key, ''), 2) as key, substr(nullif(type, ''), 2) as type, data, nullif(headers, '')::jsonb as headers, n
           from unnest($2::text[], $3::text[], $4::jsonb[], $5::text[]) with ordinality raw (key, type, data, headers, n)
         ) e
         where s.stream = $1 order by e.n
         returning position
       ) select count(*)::int as count, max(position) as last from appended`,
      [stream, column(0), column(1), column(2), column(3)],
    )
    .catch((error) => {
      throw withoutTables(error, schema)
    })
  const [row] = rows as { count: number; last: string | null }[]
  if (!row?.last) throw noStream(stream, schema)
  return { count: Number(row.count), lastPosition: BigInt(row.last) }
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
