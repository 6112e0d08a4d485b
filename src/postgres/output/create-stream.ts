import { z } from 'zod'
import { TidemarkError } from '../../model/errors.js'
import { checked } from '../../options/checked.js'
import { flag } from '../../options/fields.js'
import { streamFields } from '../client/options.js'
import { type Connection, tablesIn, withoutTables } from '../tables/event-tables.js'
import { onMigratedTarget, type Target } from './target.js'

export interface CreateStreamOptions {
  readonly stream: string
  readonly partitions: number
  /** Schema of Tidemark's tables. Default `tidemark`. */
  readonly schema?: string
  /**
   * Whether appends notify waiting consumers. Postgres lets one notifying transaction commit at a time, so turn it off where
   * many small transactions append at once, or where transactions are prepared; consumers then learn of events by polling.
   * Default true, or as it is.
   */
  readonly notify?: boolean
}

const options = z.strictObject({ ...streamFields, notify: flag.optional() })

/** What became of a stream. */
export interface CreatedStream {
  readonly partitions: number
  /** How many it had before; null where it is new. */
  readonly before: number | null
  /**
   * Set where it had events and has more partitions now: the order of keys holds across that only where all groups have handled the
   * earlier events first. In words, for people.
   */
  readonly keysMoved: string | null
}

/**
 * Creates an event stream, or grows it: a stream never loses partitions. Calling it again with the same numbers changes
 * nothing. A connection string or a pool also brings Tidemark's tables up to date; a client writes in its own transaction
 * and needs the tables to be there.
 *
 * Growing a stream that has events moves keys to other partitions, where events may be handled before the earlier ones of
 * their key: docs/postgres.md says how to keep their order. The process then emits a warning (`process.on('warning')`, code
 * TIDEMARK_KEYS_MOVED), and the result says so.
 *
 * @throws TidemarkError CONFIG_INVALID when the stream has more partitions already; STREAM_NOT_FOUND when a client's
 * database has no tables yet
 */
export async function createStream(target: Target, given: CreateStreamOptions): Promise<CreatedStream> {
  const { stream, partitions, schema, notify } = checked('createStream', options, given)
  const created = await onMigratedTarget(target, schema, (connection) =>
    putStream(connection, { stream, partitions, schema, notify }),
  )
  if (created.keysMoved !== null) process.emitWarning(created.keysMoved, { code: 'TIDEMARK_KEYS_MOVED' })
  return created
}

export async function putStream(
  connection: Connection,
  wanted: { stream: string; partitions: number; schema: string; notify?: boolean | undefined },
): Promise<CreatedStream> {
  const { stream, partitions, schema, notify } = wanted
  const { streams, events } = tablesIn(schema)
  const { rows } = await connection
    .query(
      `with put as (
         insert into ${streams} as present (stream, partitions, notify) values ($1, $2, coalesce($3::boolean, true))
         on conflict (stream) do update set partitions = excluded.partitions, notify = coalesce($3::boolean, present.notify)
           where present.partitions <= excluded.partitions
         returning partitions)
       select put.partitions as now, before.partitions as before, exists (select 1 from ${events} where stream = $1) as filled
       from (values (1)) one left join put on true left join ${streams} before on before.stream = $1`,
      [stream, partitions, notify ?? null],
    )
    .catch((error) => {
      throw withoutTables(error, schema)
    })
  const [{ now, before, filled }] = rows as [{ now: number | null; before: number | null; filled: boolean }]
  if (now === null)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `stream '${stream}' has ${before} partitions and can't shrink to ${partitions}: events would be left behind; ask for ${before} or more`,
      { place: { stream } },
    )
  const moved = filled && before !== null && before < partitions
  const keysMoved = moved
    ? `stream '${stream}' has grown from ${before} to ${partitions} partitions, which moves keys: events may be handled before earlier ones of their key that are still waiting in another partition`
    : null
  return { partitions, before, keysMoved }
}
