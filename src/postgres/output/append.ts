import { z } from 'zod'
import { checked } from '../../options/checked.js'
import type { NewEvent } from '../../ports/index.js'
import { streamFields } from '../client/options.js'
import { type Appended, insertEvents, partsOf } from './insert-events.js'
import { onTarget, type Target } from './target.js'

export type { NewEvent } from '../../ports/index.js'
export type { Appended } from './insert-events.js'

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
  const parts = partsOf(events)
  if (parts.length === 0) return { count: 0, lastPosition: null }
  return onTarget(target, (connection) => insertEvents(connection, stream, schema, parts))
}
