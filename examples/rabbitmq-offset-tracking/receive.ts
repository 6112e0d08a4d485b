/*
 * Reads up to the next marker, and says where it began and ended.
 *
 *   node --import tsx --conditions=tidemark-source examples/rabbitmq-offset-tracking/receive.ts --from tracking
 *
 * `--from first`, `next` or an offset begin there each time; `tracking` goes on behind the offset that is stored in RabbitMQ.
 * Whatever it was that ended a receiver in the middle, the same command goes on where it was. `--work 50` pretends that each
 * message takes so many milliseconds, so that there is time to end it; `--show` names each message.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { DefaultLogger, Runtime } from '@temporalio/worker'
import {
  applyReset,
  createWorker,
  groupsFinished,
  parseTarget,
  planReset,
  startGroups,
  type TidemarkConfig,
  viewGroups,
} from 'tidemark'
import { configOf } from './config.js'
import { stream } from './places.js'

async function main(): Promise<void> {
  const { from, work, show } = parseArgs({
    options: {
      from: { type: 'string', default: 'tracking' },
      work: { type: 'string', default: '0' },
      show: { type: 'boolean', default: false },
    },
  }).values
  const tracking = from === 'tracking'
  const target = tracking ? null : parseTarget(from)
  const group = `receive-${from}-of-${stream}`
  let first: bigint | undefined
  let last: bigint | undefined
  const config = configOf(group, tracking, async ({ offset, value }) => {
    if (first === undefined) console.log('First message received.')
    if (show) console.log(`${offset} ${value}`)
    await pause(Number(work))
    first ??= offset
    last = offset
  })

  if (target !== null && (await beginsAnew(config)))
    await applyReset(config, await planReset(config, { group, to: target }))
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())
  const worker = await createWorker(config, { signal: ending.signal })
  const running = worker.run()
  const started = await startGroups(config, { consumers: worker.consumers })
  console.log('Started consuming...')
  await Promise.race([groupsFinished(config, started), running])
  worker.shutdown()
  await running
  if (ending.signal.aborted) return console.log('Interrupted; the same command goes on from here.')
  if (first === undefined) console.log('Done consuming, all of it had been handled before.')
  else console.log(`Done consuming, first offset ${first}, last offset ${last}.`)
}

/** Whether there is no run to go on with: none was begun, or the last one has come to its marker. */
async function beginsAnew(config: TidemarkConfig): Promise<boolean> {
  const [view] = await viewGroups(config)
  return view!.partitions.every(({ state, committed }) => state === 'finished' || committed === null)
}

process.env.LOG_LEVEL ??= 'warn'
Runtime.install({
  logger: new DefaultLogger('ERROR'),
  telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } },
})
main().then(
  () => process.exit(0),
  (error) => {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(1)
  },
)
