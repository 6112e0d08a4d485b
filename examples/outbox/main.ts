/*
 * Orders come in by Kafka, some of them twice; a worker writes invoices and the events that tell of them in one transaction; a
 * second consumer takes the events back to Kafka. The worker is killed in the middle, and at the end it is counted.
 *
 *   node --import tsx --conditions=tidemark-source examples/outbox/main.ts [ORDERS]
 *
 * Starts Temporal, Postgres and Kafka, or uses those that TEMPORAL_ADDRESS, DATABASE_URL and KAFKA_BROKERS name. Exits with 0
 * when every order has one invoice and every invoice is told of, else with 1.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { startStack } from '../../src/local/stack.js'
import { WorkerProcess } from '../demo/worker-process.js'
import { count, right } from './proof.js'
import { Shop } from './shop.js'

/** The worker is killed when this share of the orders has invoices; no more than the second share has come in by then. */
const [killAt, holdAt] = [0.3, 0.6]
const patience = 60_000
const say = (text: string) => process.stderr.write(`${text}\n`)

async function main(orders: number): Promise<boolean> {
  const stack = await startStack({ temporal: true, postgres: true, kafka: true }, { onProgress: say })
  const endings: (() => Promise<unknown>)[] = [() => stack.stop()]
  try {
    const shop = await Shop.open(stack.postgres.connectionString, stack.kafka.brokers)
    endings.push(() => shop.close())
    const { address, namespace } = stack.temporal
    const worker = await WorkerProcess.create('examples/outbox/tidemark.config.ts', {
      ...process.env,
      ...shop.env,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
    })
    endings.push(() => worker.close())

    const until = async (what: string, reached: () => Promise<boolean>) => {
      for (const end = Date.now() + patience; !(await reached()); await pause(100)) {
        await worker.check()
        if (Date.now() > end)
          throw new Error(`gave up waiting for ${what}; the worker said:\n${await worker.lastLines()}`)
      }
    }
    say('starting a worker')
    await worker.start()
    await shop.order(1, Math.ceil(orders * holdAt))
    await until('invoices', async () => (await shop.invoices()) >= orders * killAt)
    await worker.kill()
    say(`killed it with SIGKILL when there were ${await shop.invoices()} invoices; starting another one`)
    await worker.start()
    await shop.order(Math.ceil(orders * holdAt) + 1, orders)
    await until('the rest of the invoices', async () => (await shop.invoices()) >= orders)
    await until('the events in Kafka', async () => (await shop.told()).size >= orders)
    await worker.close()

    const result = await count(shop)
    const { sent, invoices, ordersWithInvoice, events, told, idempotencyKeys } = result
    say(`${sent} messages with ${orders} orders became ${invoices} invoices for ${ordersWithInvoice} orders;`)
    say(`${events} events in the outbox became ${told} messages with ${idempotencyKeys} idempotency keys`)
    process.stdout.write(`${JSON.stringify(result)}\n`)
    return right(result, orders)
  } finally {
    for (const end of endings.reverse()) await end().catch(() => {})
  }
}

main(Number(process.argv[2] ?? 20_000)).then(
  (well) => process.exit(well ? 0 : 1),
  (error: unknown) => {
    say(error instanceof Error ? error.message : String(error))
    process.exit(1)
  },
)
