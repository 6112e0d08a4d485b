import { Client, Connection } from '@temporalio/client'
import { startStack } from '../../../src/local/stack.js'
import { rowsOf } from '../../support/consume.js'
import { ShiftedClock } from '../../support/shifted-clock.js'
import { unique } from '../../support/unique.js'
import { type ClockedLog, databaseNow, kafkaLog, postgresLog, rabbitmqLog } from './logs.js'
import { type ClockReport, type ClockScene, playClocks } from './scene.js'

/** One line of what is printed. */
export interface ClockRow {
  /** Whose clock was set. */
  readonly clock: string
  readonly report: ClockReport
}

/** What reads the log is a worker of its own in each scene, so that each begins with right clocks. */
export async function withClocksSet(
  temporal: { readonly address: string; readonly namespace: string },
  say: (row: ClockRow) => void,
): Promise<void> {
  const names = ['database', 'kafka', 'postgres', 'rabbitmq', 'worker'] as const
  const made = await Promise.all(names.map(async (name) => [name, await ShiftedClock.make()] as const))
  const clocks = Object.fromEntries(made) as Record<(typeof names)[number], ShiftedClock>
  const { address, namespace } = temporal
  const client = new Client({ connection: await Connection.connect({ address }), namespace })
  const database = await startStack({ postgres: { own: true, durable: false, env: clocks.database.env } })
  const logs = await startStack({
    postgres: { own: true, durable: false, env: clocks.postgres.env },
    kafka: { own: true, memory: '512m', env: clocks.kafka.env },
    rabbitmq: { own: true, env: clocks.rabbitmq.env },
  })
  const open = {
    kafka: (stream: string) => kafkaLog(logs.kafka.brokers[0]!, stream),
    postgres: (stream: string) => postgresLog(logs.postgres.connectionString, stream),
    rabbitmq: (stream: string) => rabbitmqLog(logs.rabbitmq.url, logs.rabbitmq.managementUrl!, stream),
  }
  const server = database.postgres.connectionString

  async function scene(
    name: string,
    kind: ClockedLog['kind'],
    clock: ShiftedClock,
    now: (log: ClockedLog, databaseUrl: string) => ClockScene['now'],
  ): Promise<void> {
    const stream = unique('clocks')
    const log = await open[kind](stream)
    const databaseUrl = await newDatabase(server)
    try {
      const report = await playClocks({ databaseUrl, log, stream, temporal, clock, now: now(log, databaseUrl) }, client)
      say({ clock: name, report })
    } finally {
      await log.close()
    }
  }

  try {
    await scene(
      "the handlers' database and the offset store",
      'kafka',
      clocks.database,
      (_, url) => () => databaseNow(url),
    )
    await scene('the log: Postgres', 'postgres', clocks.postgres, (log) => () => log.now())
    await scene('the log: Kafka', 'kafka', clocks.kafka, (log) => () => log.now())
    await scene('the log: RabbitMQ', 'rabbitmq', clocks.rabbitmq, (log) => () => log.now())
    await scene('the worker', 'kafka', clocks.worker, () => 'worker')
  } finally {
    await client.connection.close()
    await Promise.all([database.stop(), logs.stop()])
    await Promise.all(Object.values(clocks).map((clock) => clock.remove()))
  }
}

async function newDatabase(server: string): Promise<string> {
  const name = unique('clocks').replace('-', '_')
  await rowsOf(server, `create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
