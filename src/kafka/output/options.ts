import { TidemarkError } from '../../model/errors.js'
import { type Duration, parseDuration, parseSize, type Size } from '../../model/units.js'
import { type KafkaOptions, type KafkaSettings, parseKafka } from '../client/options.js'
import type { Compression } from './batch.js'

/** A Kafka cluster that handlers write to. */
export interface KafkaOutputOptions
  extends Pick<
    KafkaOptions<unknown>,
    'brokers' | 'clientId' | 'ssl' | 'sasl' | 'connectionTimeout' | 'requestTimeout'
  > {
  /** Default `none`. */
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

/** @throws TidemarkError CONFIG_INVALID */
export function parseKafkaOutput(options: KafkaOutputOptions): OutputSettings {
  if (typeof options !== 'object' || options === null) throw invalid('options', 'must be an object with brokers')
  const { compression = 'none', deliveryTimeout, maxBuffered, transactionTimeout, ...connection } = options
  if ('topic' in connection) throw invalid('topic', 'is named by produce(topic, ...) instead; leave it out')
  if (compression !== 'none' && compression !== 'gzip') throw invalid('compression', "must be 'none' or 'gzip'")
  const buffered = parseSize(maxBuffered ?? '16MB')
  if (buffered === undefined || buffered < 1024)
    throw invalid('maxBuffered', "must be a size of at least 1KB, like '16MB'")
  return {
    // A topic has to be named there; what is not about one does not look at it.
    connection: parseKafka({ ...connection, topic: 'any' }, 'kafkaOutput'),
    compression,
    deliveryTimeoutMs: duration('deliveryTimeout', deliveryTimeout ?? '30s'),
    maxBufferedBytes: buffered,
    transactionTimeoutMs: duration('transactionTimeout', transactionTimeout ?? '60s'),
  }
}

function duration(field: string, value: Duration): number {
  const ms = parseDuration(value)
  if (ms === undefined || ms < 1000) throw invalid(field, "must be a duration of at least 1s, like '30s'")
  return ms
}

function invalid(field: string, problem: string): TidemarkError {
  return new TidemarkError('CONFIG_INVALID', `kafkaOutput().${field}: ${problem}`)
}
