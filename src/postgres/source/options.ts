import { z } from 'zod'
import type { Duration } from '../../model/units.js'
import { checked } from '../../options/checked.js'
import { decodeFields } from '../../options/decode-fields.js'
import { duration } from '../../options/fields.js'
import { type Decoding, decodingOf } from '../../reading/late-value.js'
import { type DecodeOptions, valueOption } from '../../reading/value.js'
import { type PostgresOptions, type PostgresSettings, postgresFields, streamFields } from '../client/options.js'

/** An event stream in a Postgres, as users write it. */
export interface PostgresStreamOptions<V = unknown> extends PostgresOptions, DecodeOptions<V> {
  /** Name of the stream. */
  readonly stream: string
  /**
   * Creates the stream with so many partitions, or grows it to them. Left out, the stream must exist: see `createStream`.
   * An existing key may move to another partition when a stream grows.
   */
  readonly partitions?: number
  /** How often to look for events when no notification came. Default `'1s'`. */
  readonly pollInterval?: Duration
}

export interface PostgresStreamSettings<V = unknown> extends PostgresSettings {
  readonly stream: string
  readonly partitions?: number
  readonly decoding: Decoding<V>
  /** Milliseconds. */
  readonly pollInterval: number
}

export const streamSchema = z.strictObject({
  ...postgresFields,
  ...streamFields,
  partitions: streamFields.partitions.optional(),
  ...decodeFields,
  value: valueOption.optional(),
  pollInterval: duration('1s', 10),
})

/** @throws TidemarkError CONFIG_INVALID */
export function parseStream<V>(options: PostgresStreamOptions<V>): PostgresStreamSettings<V> {
  const { value: _, decodeConcurrency, decodeTimeout, ...settings } = checked('postgresStream', streamSchema, options)
  const decoding = decodingOf(options.value, { decodeConcurrency, decodeTimeoutMs: decodeTimeout })
  return { ...settings, decoding } as PostgresStreamSettings<V>
}
