import { TidemarkError } from '../../model/errors.js'
import { unknownOption } from '../../options/checked.js'
import type { Database } from '../../ports/index.js'
import { connectionFields, parseRabbitmq, type RabbitmqOptions, type RabbitmqSettings } from '../client/options.js'

/** A RabbitMQ that keeps consumer offsets, as users write it. */
export interface RabbitmqStoreOptions
  extends Pick<
    RabbitmqOptions<unknown>,
    | 'url'
    | 'host'
    | 'port'
    | 'username'
    | 'password'
    | 'vhost'
    | 'ssl'
    | 'connectionName'
    | 'connectionTimeout'
    | 'requestTimeout'
    | 'heartbeat'
  > {
  /** Where handlers' progress lives, and what the broker can't keep: `postgresDatabase({ connectionString })`. */
  readonly database: Database
}

export interface RabbitmqStoreSettings {
  readonly connection: RabbitmqSettings
  readonly database: Database
}

const names = [...Object.keys(connectionFields), 'database']

/** @throws TidemarkError CONFIG_INVALID */
export function parseRabbitmqStore(options: RabbitmqStoreOptions): RabbitmqStoreSettings {
  if (typeof options !== 'object' || options === null) throw invalid('.options: must be an object with url or host')
  const { database, ...connection } = options
  const unknown = Object.keys(options).find((name) => !names.includes(name))
  if (unknown !== undefined) throw invalid(`: ${unknownOption(unknown, names)}`)
  // A stream has to be named there; connections are not about one.
  const settings = parseRabbitmq({ ...connection, stream: 'any' }, 'rabbitmqStore')
  if (typeof database?.connect !== 'function')
    throw invalid('.database: must be a database like postgresDatabase({ connectionString })')
  return { connection: settings, database }
}

function invalid(problem: string): TidemarkError {
  return new TidemarkError('CONFIG_INVALID', `rabbitmqStore()${problem}`)
}
