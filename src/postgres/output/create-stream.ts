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

/**
 * Creates an event stream, or grows it: a stream never loses partitions. Calling it again with the same numbers changes
 * nothing. A connection string or a pool also brings Tidemark's tables up to date; a client writes in its own transaction
 * and needs the tables to be there.
 *
 * @throws TidemarkError CONFIG_INVALID when the stream has more partitions already; STREAM_NOT_FOUND when a client's
 * database has no tables yet
 */
export async function createStream(target: Target, given: CreateStreamOptions): Promise<void> {
  const { stream, partitions, schema, notify } = checked('createStream', options, given)
  await onMigratedTarget(target, schema, (connection) => putStream(connection, { stream, partitions, schema, notify }))
}

export async function putStream(
  connection: Connection,
  wanted: { stream: string; partitions: number; schema: string; notify?: boolean | undefined },
): Promise<void> {
  const { stream, partitions, schema, notify } = wanted
  const { streams } = tablesIn(schema)
  const { rows } = await connection
    .query(
      `insert into ${streams} as present (stream, partitions, notify) values ($1, $2, coalesce($3::boolean, true))
       on conflict (stream) do update set partitions = excluded.partitions, notify = coalesce($3::boolean, present.notify)
         where present.partitions <= excluded.partitions
       returning partitions`,
      [stream, partitions, notify ?? null],
    )
    .catch((error) => {
      throw withoutTables(error, schema)
    })
  if (rows.length > 0) return
  const found = await connection.query(`select partitions from ${streams} where stream = $1`, [stream])
  const [row] = found.rows as { partitions: number }[]
  throw new TidemarkError(
    'CONFIG_INVALID',
    `stream '${stream}' has ${row?.partitions} partitions and can't shrink to ${partitions}: events would be left behind; ask for ${row?.partitions} or more`,
    { place: { stream } },
  )
}
