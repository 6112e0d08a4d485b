import type { KafkaOptions } from './kafka.js'
import { oneOf } from './one-of.js'
import {
  findKafka,
  findPostgres,
  findRabbitmq,
  findTemporal,
  type KafkaPart,
  type Own,
  type PostgresPart,
  type RabbitmqPart,
  type TemporalPart,
} from './parts.js'
import type { PostgresOptions } from './postgres.js'
import { type Progress, silent } from './progress.js'
import type { RabbitmqOptions } from './rabbitmq.js'
import type { TemporalOptions } from './temporal.js'
import { timeSkippingServer } from './time-skipping.js'

export interface StackOptions {
  readonly temporal?: boolean | (TemporalOptions & Own)
  readonly postgres?: boolean | (PostgresOptions & Own)
  readonly kafka?: boolean | (KafkaOptions & Own)
  readonly rabbitmq?: boolean | (RabbitmqOptions & Own)
  /** Fetch the time-skipping test server; it is started by the SDK, not by the stack. */
  readonly timeSkipping?: boolean
}

/** The running parts. Reading one that was not asked for throws. */
export interface Stack {
  readonly temporal: TemporalPart
  readonly postgres: PostgresPart
  readonly kafka: KafkaPart
  readonly rabbitmq: RabbitmqPart
  /** Path of the time-skipping server's executable. */
  readonly timeSkipping: string
  /** Ends everything the stack started and removes its data. Safe to call twice. */
  stop(): Promise<void>
}

/**
 * Finds or starts the parts asked for, all at the same time. An address in the environment (TEMPORAL_ADDRESS with
 * TEMPORAL_NAMESPACE, DATABASE_URL, KAFKA_BROKERS, RABBITMQ_URL) wins: then that part is used as it is and cannot be controlled.
 * Everything started listens on 127.0.0.1 only and ends with this process, even by kill -9.
 * Throws CONFIG_INVALID for what can't be found and UNREACHABLE for what doesn't start, after ending the other parts.
 */
export async function startStack(
  options: StackOptions,
  { onProgress = silent }: { readonly onProgress?: Progress } = {},
): Promise<Stack> {
  const temporal = options.temporal ? findTemporal(details(options.temporal), onProgress) : null
  const postgres = options.postgres ? findPostgres(details(options.postgres)) : null
  const kafka = options.kafka ? findKafka(details(options.kafka), onProgress) : null
  const rabbitmq = options.rabbitmq ? findRabbitmq(details(options.rabbitmq), onProgress) : null
  const timeSkipping = options.timeSkipping ? timeSkippingServer(onProgress) : null

  // Waits for all of them also when one fails: what has been started must be ended, and all that is missing be named.
  const [servers, files] = await Promise.all([
    Promise.allSettled([temporal, postgres, kafka, rabbitmq]),
    Promise.allSettled([timeSkipping]),
  ])
  const stop = async () => {
    await Promise.all(servers.map((found) => (found.status === 'fulfilled' ? found.value?.close() : undefined)))
  }
  const failures = [...servers, ...files].flatMap((found) => (found.status === 'rejected' ? [found.reason] : []))
  if (failures.length > 0) {
    await stop()
    throw oneOf(failures)
  }
  const parts = {
    temporal: (await temporal)?.part,
    postgres: (await postgres)?.part,
    kafka: (await kafka)?.part,
    rabbitmq: (await rabbitmq)?.part,
    timeSkipping: (await timeSkipping) ?? undefined,
  }
  return {
    get temporal() {
      return asked('temporal', parts.temporal)
    },
    get postgres() {
      return asked('postgres', parts.postgres)
    },
    get kafka() {
      return asked('kafka', parts.kafka)
    },
    get rabbitmq() {
      return asked('rabbitmq', parts.rabbitmq)
    },
    get timeSkipping() {
      return asked('timeSkipping', parts.timeSkipping)
    },
    stop,
  }
}

function details<T extends object>(option: true | T): T | Record<string, never> {
  return option === true ? {} : option
}

function asked<T>(name: string, part: T | undefined): T {
  if (part === undefined) throw new Error(`the stack was started without ${name}`)
  return part
}
