import { Client, Connection } from '@temporalio/client'
import pg from 'pg'
import { startGroups } from '../../src/client/groups.js'
import type { TidemarkConfig } from '../../src/config/define.js'
import type { Log } from '../../src/ports/index.js'
import { createWorker, type WorkerContext } from '../../src/worker/create.js'
import type { TidemarkWorker } from '../../src/worker/worker.js'
import { part } from './parts.js'
import { kafkaClient } from './topics.js'
import { quiet } from './workflow-env.js'

/** A log that keeps what it is told, for tests that look at it. */
export function keptLog(): Log & { readonly lines: string[] } {
  const lines: string[] = []
  const keep = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { lines, debug: () => {}, info: keep, warn: keep, error: keep }
}

export interface Running {
  readonly worker: TidemarkWorker
  readonly log: ReturnType<typeof keptLog>
  /** Shuts the worker down and waits until it is gone. */
  stop(): Promise<void>
}

/** Runs a config's worker in this process, and puts the config in force. */
export async function run(
  config: TidemarkConfig,
  context: Pick<WorkerContext, 'overwriteOffsets'> = {},
): Promise<Running> {
  quiet()
  const log = keptLog()
  const worker = await createWorker(config, { log, ...context })
  const ended = worker.run()
  // Whoever stops it is told; until then a failure must not end the test process.
  ended.catch(() => {})
  await startGroups(config).catch(async (error) => {
    worker.shutdown()
    await ended
    throw error
  })
  return {
    worker,
    log,
    stop: async () => {
      worker.shutdown()
      await ended
    },
  }
}

/** A client of the test stack's Temporal. */
export async function temporalClient(): Promise<Client & { close(): Promise<void> }> {
  const { address, namespace } = part('temporal')
  const connection = await Connection.connect({ address })
  return Object.assign(new Client({ connection, namespace }), { close: () => connection.close() })
}

/** Writes values, spread over the partitions in turn. */
export async function produce(topic: string, values: readonly string[], partitions: number): Promise<void> {
  const producer = kafkaClient().producer()
  await producer.connect()
  for (let from = 0; from < values.length; from += 2_000) {
    const messages = values
      .slice(from, from + 2_000)
      .map((value, i) => ({ value, key: `k${from + i}`, partition: (from + i) % partitions }))
    await producer.send({ topic, messages })
  }
  await producer.disconnect()
}

/** Rows of one query on its own connection. */
export async function rowsOf<T extends object>(
  connectionString: string,
  text: string,
  values: unknown[] = [],
): Promise<T[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query<T>(text, values)).rows
  } finally {
    await client.end()
  }
}
