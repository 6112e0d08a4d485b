import { TidemarkError } from '../../model/errors.js'
import { unknownOption } from '../../options/checked.js'
import type { Database } from '../../ports/index.js'
import { connectionFields, type KafkaOptions, type KafkaSettings, parseKafka } from '../client/options.js'

/** A Kafka cluster that keeps consumer offsets, as users write it. */
export interface KafkaStoreOptions
  extends Pick<
    KafkaOptions<unknown>,
    'brokers' | 'clientId' | 'ssl' | 'sasl' | 'connectionTimeout' | 'requestTimeout'
  > {
  /** Where handlers' progress lives, and who reset which position: `postgresDatabase({ connectionString })`. */
  readonly database: Database
}

export interface KafkaStoreSettings {
  readonly connection: KafkaSettings
  readonly database: Database
}

const names = [...Object.keys(connectionFields), 'database']

/** @throws TidemarkError CONFIG_INVALID */
export function parseKafkaStore(options: KafkaStoreOptions): KafkaStoreSettings {
  if (typeof options !== 'object' || options === null) throw invalid('.options: must be an object with brokers')
  const { database, ...connection } = options
  const unknown = Object.keys(options).find((name) => !names.includes(name))
  if (unknown !== undefined) throw invalid(`: ${unknownOption(unknown, names)}`)
  // A topic has to be named there; connections are not about one.
  const settings = parseKafka({ ...connection, topic: 'any' }, 'kafkaStore')
  if (typeof database?.connect !== 'function')
    throw invalid('.database: must be a database like postgresDatabase({ connectionString })')
  return { connection: settings, database }
}

function invalid(problem: string): TidemarkError {
  return new TidemarkError('CONFIG_INVALID', `kafkaStore()${problem}`)
}
