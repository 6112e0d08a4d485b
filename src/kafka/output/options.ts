import { z } from 'zod'
import type { Duration, Size } from '../../model/units.js'
import { checked } from '../../options/checked.js'
import { oneOf, serverTime, size } from '../../options/fields.js'
import { connectionFields, type KafkaOptions, type KafkaSettings, parseKafka } from '../client/options.js'
import type { Compression } from './batch.js'

/** A Kafka cluster that handlers write to. */
export interface KafkaOutputOptions
  extends Pick<
    KafkaOptions<unknown>,
    'brokers' | 'clientId' | 'ssl' | 'sasl' | 'connectionTimeout' | 'requestTimeout'
  > {
  /** How batches of messages are packed. Default `none`. */
  readonly compression?: Compression
  /** How long sending may take, with the tries again that leader changes need; then the chunk fails. Default 30s. */
  readonly deliveryTimeout?: Duration
  /** What a handler may have waiting before it has to await `flush()`. Default 16MB. */
  readonly maxBuffered?: Size
  /** After so long a broker ends a transaction by itself. At most the broker's `transaction.max.timeout.ms`. Default 60s. */
  readonly transactionTimeout?: Duration
}

export interface OutputSettings {
  readonly connection: KafkaSettings
  readonly compression: Compression
  readonly deliveryTimeoutMs: number
  readonly maxBufferedBytes: number
  readonly transactionTimeoutMs: number
}

export const kafkaOutputSchema = z.strictObject(
  {
    ...connectionFields,
    topic: z.undefined({ error: 'is named by produce(topic, ...) instead; leave it out' }).optional(),
    compression: oneOf(['none', 'gzip']).default('none'),
    deliveryTimeout: serverTime('30s', 1_000),
    maxBuffered: size('16MB', 1024),
    transactionTimeout: serverTime('60s', 1_000),
  },
  { error: 'must be an object with brokers' },
)

/** @throws TidemarkError CONFIG_INVALID */
export function parseKafkaOutput(options: KafkaOutputOptions): OutputSettings {
  const { compression, deliveryTimeout, maxBuffered, transactionTimeout } = checked(
    'kafkaOutput()',
    kafkaOutputSchema,
    options,
  )
  const { brokers, clientId, ssl, sasl, connectionTimeout, requestTimeout } = options
  return {
    // A topic has to be named there; what is not about one does not look at it.
    connection: parseKafka(
      { brokers, clientId, ssl, sasl, connectionTimeout, requestTimeout, topic: 'any' },
      'kafkaOutput',
    ),
    compression,
    deliveryTimeoutMs: deliveryTimeout,
    maxBufferedBytes: maxBuffered,
    transactionTimeoutMs: transactionTimeout,
  }
}
