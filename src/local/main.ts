/*
 * `npm run stack -- [temporal] [postgres] [kafka] [rabbitmq] [--json] [--persist]`: starts the parts named (all but RabbitMQ when none is), prints
 * their addresses as assignments for a shell, or as one line of JSON, and keeps them until Ctrl-C.
 */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { messageOf } from '../model/errors.js'
import { type Stack, type StackOptions, startStack } from './stack.js'

const known = ['temporal', 'postgres', 'kafka', 'rabbitmq'] as const
type Name = (typeof known)[number]

/** Started when nothing is named. */
const usual: readonly Name[] = ['temporal', 'postgres', 'kafka']

function environmentOf(stack: Stack, names: readonly Name[]): Record<string, string> {
  return {
    ...(names.includes('temporal') && {
      TEMPORAL_ADDRESS: stack.temporal.address,
      TEMPORAL_NAMESPACE: stack.temporal.namespace,
      ...(stack.temporal.uiUrl !== null && { TEMPORAL_UI: stack.temporal.uiUrl }),
    }),
    ...(names.includes('postgres') && { DATABASE_URL: stack.postgres.connectionString }),
    ...(names.includes('kafka') && { KAFKA_BROKERS: stack.kafka.brokers.join(',') }),
    ...(names.includes('rabbitmq') && {
      RABBITMQ_URL: stack.rabbitmq.url,
      ...(stack.rabbitmq.amqpUrl !== null && { RABBITMQ_AMQP_URL: stack.rabbitmq.amqpUrl }),
      ...(stack.rabbitmq.managementUrl !== null && { RABBITMQ_MANAGEMENT_URL: stack.rabbitmq.managementUrl }),
    }),
  }
}

function read(): { names: readonly Name[]; json: boolean; options: StackOptions } {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, persist: { type: 'boolean', default: false } },
  })
  const unknown = positionals.find((name) => !known.some((one) => one === name))
  if (unknown !== undefined) throw new Error(`unknown part "${unknown}"; known are ${known.join(', ')}`)
  const names = known.filter((name) => (positionals.length === 0 ? usual.includes(name) : positionals.includes(name)))
  const options = {
    temporal: names.includes('temporal') && { persist: values.persist },
    postgres: names.includes('postgres'),
    kafka: names.includes('kafka'),
    rabbitmq: names.includes('rabbitmq'),
  }
  return { names, json: values.json, options }
}

async function main(): Promise<void> {
  const { names, json, options } = read()
  // Caught from the beginning, so that a Ctrl-C during the start ends the parts in order, too.
  const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  const tell = (line: string) => process.stderr.write(`${line}\n`)
  const starting = startStack(options, { onProgress: tell })
  const stack = await Promise.race([starting, interrupted.then(() => null)])
  if (stack === null) process.exit(130)

  const environment = environmentOf(stack, names)
  const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  process.stdout.write(`${json ? JSON.stringify(environment) : lines.join('\n')}\n`)
  tell('running until Ctrl-C')
  // A pending promise alone does not keep Node alive.
  const alive = setInterval(() => {}, 3_600_000)
  await interrupted
  clearInterval(alive)
  await stack.stop()
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(1)
})
