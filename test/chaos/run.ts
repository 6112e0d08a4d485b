import { Command } from 'commander'
import pg from 'pg'
import { startStack } from '../../src/local/stack.js'
import { unique } from '../support/unique.js'
import { resetWithFrozen } from './frozen-reset.js'
import { Ground } from './ground.js'
import { drainWithKills } from './kills.js'
import { playMatrix, prepareMatrix } from './matrix/matrix.js'
import { randomFrom } from './seed.js'
import { Workers } from './workers.js'
import { drainWithZombie } from './zombie.js'

/*
 * The long proof: real servers that really write to disk, half a million messages, workers killed and frozen.
 */
const options = new Command('chaos')
  .description('Drain a Kafka topic while workers are killed at random moments, then count.')
  .option('--messages <n>', 'messages in the topic', Number, 500_000)
  .option('--partitions <n>', 'partitions of the topic', Number, 4)
  .option('--workers <n>', 'workers at the same time', Number, 3)
  .option('--kills <n>', 'kill -9 so often', Number, 20)
  .option('--heartbeat <duration>', 'heartbeat timeout of the consumer', '10s')
  .option('--chunk <n>', 'messages in one transaction', Number, 200)
  .option('--chunk-ms <ms>', 'time a chunk takes, so that kills find work under way', Number, 300)
  .option('--seed <n>', 'repeat the kills of an earlier run', Number, Math.floor(Math.random() * 2 ** 31))
  .addHelpText('after', '\nExamples:\n  $ npm run chaos\n  $ npm run chaos -- --kills 5 --messages 100000 --seed 7')
  .parse()
  .opts<{
    messages: number
    partitions: number
    workers: number
    kills: number
    heartbeat: string
    chunk: number
    chunkMs: number
    seed: number
  }>()

const say = (text: string) => process.stderr.write(`${text}\n`)
const stack = await startStack(
  { temporal: true, postgres: true, kafka: true },
  { onProgress: (text) => say(String(text)) },
)
let failed = false
try {
  say(`seed ${options.seed}; Temporal UI ${stack.temporal.uiUrl}`)
  const kills = await scenario(options.messages, (ground, workers) =>
    drainWithKills(ground, workers, {
      ...options,
      pauseMs: [200, 3_000],
      random: randomFrom(options.seed),
      timeoutMs: 1_800_000,
      say,
    }),
  )
  const { failoversMs, ...counts } = kills
  const at = (share: number) => failoversMs[Math.min(failoversMs.length - 1, Math.floor(failoversMs.length * share))]
  say(`fail-over ms: ${failoversMs.join(' ')}`)
  console.log(
    JSON.stringify({
      scenario: 'kills',
      ...counts,
      failoverMs: { count: failoversMs.length, p50: at(0.5), p90: at(0.9), max: failoversMs.at(-1) },
    }),
  )
  const zombie = await scenario(Math.min(100_000, options.messages), (ground, workers) =>
    drainWithZombie(ground, workers, 600_000),
  )
  console.log(JSON.stringify({ scenario: 'zombie', ...zombie }))
  const reset = await scenario(Math.min(100_000, options.messages), (ground, workers) =>
    resetWithFrozen(ground, workers, 500, 600_000),
  )
  console.log(JSON.stringify({ scenario: 'reset', ...reset }))
  const matrix = await scenario(
    6_000,
    async (ground, workers) => {
      await prepareMatrix(ground, 6_000)
      return playMatrix(ground, workers, { kills: 10, random: randomFrom(options.seed), say })
    },
    'test/chaos/matrix/tidemark.config.ts',
    2,
  )
  for (const row of matrix) console.log(JSON.stringify({ scenario: 'strategies', ...row }))
  failed = kills.lost + kills.duplicates + zombie.lost + zombie.duplicates !== 0 || zombie.fenced === 0
  failed ||= reset.lost + reset.duplicates + reset.duplicatesBefore !== 0
  failed ||= matrix.some(({ lost, duplicates, allowed }) => lost !== 0 || duplicates > allowed)
} finally {
  await stack.stop()
}
process.exit(failed ? 1 : 0)

async function scenario<T>(
  messages: number,
  play: (ground: Ground, workers: Workers) => Promise<T>,
  config?: string,
  partitions = options.partitions,
): Promise<T> {
  const name = unique('chaos').replace('-', '_')
  const admin = new pg.Client({ connectionString: stack.postgres.connectionString })
  await admin.connect()
  await admin.query(`create database ${name}`)
  await admin.end()
  const url = new URL(stack.postgres.connectionString)
  url.pathname = `/${name}`
  const { brokers } = stack.kafka
  const { address, namespace } = stack.temporal
  const ground = new Ground(
    { databaseUrl: url.href, brokers, temporal: { address, namespace } },
    unique('chaos'),
    messages,
    partitions,
  )
  const workers = new Workers(
    {
      DATABASE_URL: url.href,
      KAFKA_BROKERS: brokers.join(','),
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      CHAOS_TOPIC: ground.topic,
      CHAOS_CHUNK: String(options.chunk),
      CHAOS_CHUNK_MS: String(options.chunkMs),
      CHAOS_HEARTBEAT: options.heartbeat,
    },
    config,
  )
  say(`producing ${messages} messages; logs of the workers in ${workers.logs}`)
  await ground.prepare()
  try {
    return await play(ground, workers)
  } finally {
    await workers.end()
    await ground.close()
  }
}
