/*
 * Readings come in by Kafka and go out enriched, with alerts in a topic of their own. The worker is killed in the middle, and at
 * the end a reader of committed data counts: each output once.
 *
 *   node --import tsx --conditions=tidemark-source examples/enrich/main.ts [READINGS]
 *
 * Starts Temporal, Postgres and Kafka, or uses those that TEMPORAL_ADDRESS, DATABASE_URL and KAFKA_BROKERS name. Exits with 0
 * when nothing is lost and nothing there twice, else with 1.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { startStack } from '../../src/local/stack.js'
import { WorkerProcess } from '../demo/worker-process.js'
import { Plant } from './plant.js'

const patience = 90_000
/** Readers that have what they wait for look so much longer for what should not be there, ms. */
const lookLonger = 3_000
const say = (text: string) => process.stderr.write(`${text}\n`)

async function main(readings: number): Promise<boolean> {
  const stack = await startStack({ temporal: true, postgres: true, kafka: true }, { onProgress: say })
  const endings: (() => Promise<unknown>)[] = [() => stack.stop()]
  try {
    const plant = await Plant.open(stack.postgres.connectionString, stack.kafka.brokers)
    endings.push(() => plant.close())
    const { address, namespace } = stack.temporal
    const worker = await WorkerProcess.create('examples/enrich/tidemark.config.ts', {
      ...process.env,
      ...plant.env,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
    })
    endings.push(() => worker.close())
    const hot = await plant.send(readings)
    say(`sent ${readings} readings, ${hot} of them too hot; starting a worker`)
    await worker.start()
    const started = Date.now()
    while ((await plant.written('enriched')) < readings / 4) {
      await worker.check()
      if (Date.now() - started > patience) throw new Error(`nothing was written:\n${await worker.lastLines()}`)
      await pause(20)
    }
    await worker.kill()
    say('killed it with SIGKILL in the middle; starting another one')
    await worker.start()

    const audit = async (name: 'enriched' | 'alerts', wanted: number) => {
      const end = Date.now() + patience
      const ids = await plant.read(name, async (seen) => {
        await pause(100)
        await worker.check()
        return seen.length >= wanted || Date.now() > end ? pause(lookLonger, true) : false
      })
      return { outputs: ids.length, distinct: new Set(ids).size, wanted }
    }
    const result = { enriched: await audit('enriched', readings), alerts: await audit('alerts', hot) }
    process.stdout.write(`${JSON.stringify(result)}\n`)
    return Object.values(result).every(({ outputs, distinct, wanted }) => outputs === wanted && distinct === wanted)
  } finally {
    for (const end of endings.reverse()) await end().catch(() => {})
  }
}

main(Number(process.argv[2] ?? 50_000)).then(
  (well) => process.exit(well ? 0 : 1),
  (error: unknown) => {
    say(error instanceof Error ? error.message : String(error))
    process.exit(1)
  },
)
