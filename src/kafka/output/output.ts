import type { ConnectContext, Output, OutputClient, OutputProgressLog, OutputRecord } from '../../ports/index.js'
import { connected } from '../../reading/connected.js'
import { noted } from '../client/options.js'
import { Cluster } from './cluster.js'
import { type KafkaOutputOptions, type OutputSettings, parseKafkaOutput } from './options.js'
import { Placer } from './place.js'
import { IdempotentProducer } from './producer.js'
import { KafkaProgress } from './progress.js'

/**
 * A Kafka cluster that handlers write to, by `produce`. Opens nothing: a worker does.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function kafkaOutput(options: KafkaOutputOptions): Output {
  const settings = parseKafkaOutput(options)
  const { brokers, ssl, sasl } = settings.connection
  const { compression, deliveryTimeoutMs, transactionTimeoutMs } = settings
  return noted<Output>(
    {
      kind: 'kafka',
      describe: {
        brokers,
        compression,
        deliveryTimeoutMs,
        transactionTimeoutMs,
        tls: ssl !== undefined && ssl !== false,
        sasl: sasl?.mechanism ?? null,
      },
      maxBufferedBytes: settings.maxBufferedBytes,
      connect: ({ log, signal }: ConnectContext) =>
        connected(new KafkaOutput(settings, new Cluster(settings, log)), signal, ({ cluster }) => cluster.check()),
    },
    settings.connection,
  )
}

class KafkaOutput implements OutputClient {
  readonly progress: OutputProgressLog
  readonly #producer: IdempotentProducer

  constructor(
    readonly settings: OutputSettings,
    readonly cluster: Cluster,
  ) {
    const placer = new Placer(cluster)
    this.#producer = new IdempotentProducer(cluster, placer)
    this.progress = new KafkaProgress(cluster, placer)
  }

  send(records: readonly OutputRecord[]): Promise<void> {
    return this.#producer.send(records)
  }

  close(): Promise<void> {
    return this.cluster.close()
  }
}
