// Before everything else, so that it sees all listeners.
import './probe.js'

import { inspect } from 'node:util'
import { createWorker, startGroups, type TidemarkWorker } from 'tidemark'
import type { Log } from '../../src/ports/index.js'
import { soakConfig } from './config.js'
import type { Answer, Order, Places } from './orders.js'
import { takeSample } from './probe.js'

/* The process that a soak looks at: runs the workers it is told to, one version after the other. */

interface Running {
  readonly worker: TidemarkWorker
  readonly ended: Promise<void>
}

const print = (level: string) => (fields: object, message: string) =>
  console.error(
    `${new Date().toISOString()} ${level} ${message} ${inspect(fields, { depth: 4, breakLength: Infinity })}`,
  )
/** What goes wrong without being meant to. A handler that fails now and then is. */
const problems: Log = {
  debug: () => {},
  info: () => {},
  warn: (fields, message) => {
    if (!message.includes('fails now and then')) print('warn')(fields, message)
  },
  error: print('error'),
}

let current: Running | undefined
let ports: ReadonlyMap<number, string> = new Map()
const handled: Record<string, number> = {}

async function deploy({ places, version, leak }: Extract<Order, { do: 'deploy' }>): Promise<void> {
  ports = portsOf(places)
  const config = soakConfig(places, version, leak, (group, messages) => {
    handled[group] = (handled[group] ?? 0) + messages
  })
  const worker = await createWorker(config, { log: problems })
  const next = { worker, ended: worker.run() }
  next.ended.catch((error) => fail(error))
  await startGroups(config, { consumers: worker.consumers })
  await end(current)
  current = next
}

async function end(running: Running | undefined): Promise<void> {
  running?.worker.shutdown()
  await running?.ended
}

function portsOf({ databaseUrl, brokers, rabbitmqUrl }: Places): Map<number, string> {
  return new Map([
    [Number(new URL(databaseUrl).port), 'Postgres'],
    ...brokers.map((broker) => [Number(broker.split(':')[1]), 'Kafka'] as const),
    [Number(new URL(rabbitmqUrl).port), 'RabbitMQ'],
  ])
}

async function obey(order: Order & { readonly id: number }): Promise<Answer> {
  const to = order.id
  if (order.do === 'sample') return { to, sample: takeSample(ports, handled) }
  if (order.do === 'deploy') await deploy(order)
  else {
    await end(current)
    current = undefined
  }
  return { to, done: true }
}

process.on('message', (order: Order & { readonly id: number }) => {
  void obey(order)
    .catch(
      (error): Answer => ({
        to: order.id,
        error: error instanceof Error ? (error.stack ?? error.message) : `${error}`,
      }),
    )
    .then((answer) => process.send!(answer))
})
process.on('disconnect', () => process.exit(0))

function fail(error: unknown): never {
  console.error(error)
  process.exit(1)
}
