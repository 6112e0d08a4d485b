import { Client, Connection } from '@temporalio/client'
import { Command, Option } from 'commander'
import pg from 'pg'
import { startStack } from '../../src/local/stack.js'
import { PostgresPair } from '../support/postgres-pair.js'
import { unique } from '../support/unique.js'
import { withClocksSet } from './clocks/clocks.js'
import { drainWithFailover } from './failover.js'
import { resetWithFrozen } from './frozen-reset.js'
import { Ground } from './ground.js'
import { drainWithKills } from './kills.js'
import { playMatrix, prepareMatrix } from './matrix/matrix.js'
import { withTemporalAway } from './outage/away.js'
import { chunkSize } from './outage/ground.js'
import { Scene } from './outage/scene.js'
import { randomFrom } from './seed.js'
import { startWiredBroker } from './storm/broker.js'
import { Crew } from './storm/crew.js'
import { drainInStorm } from './storm/storm.js'
import { Workers } from './workers.js'
import { drainWithZombie } from './zombie.js'

/*
 * The long proof: real servers that really write to disk, half a million messages, workers killed and frozen, wires cut and slow.
 */
const options = new Command('chaos')
  .description('Drain a Kafka topic while workers are killed at random moments, then count.')
  .option('--messages <n>', 'messages in the topic', Number, 500_000)
  .option('--partitions <n>', 'partitions of the topic', Number, 4)
  .option('--workers <n>', 'workers at the same time', Number, 3)
  .option('--kills <n>', 'kill -9 so often', Number, 20)
  .option('--storm-partitions <n>', 'partitions of the topic of the storm', Number, 64)
  .option('--faults <n>', 'faults of the storm', Number, 70)
  .option('--outage <seconds>', 'how long Temporal is away', Number, 300)
  .option('--rounds <n>', 'fail-overs to a lagging standby', Number, 5)
  .option('--failover-messages <n>', 'messages of each of these rounds', Number, 200_000)
  .option('--heartbeat <duration>', 'heartbeat timeout of the consumer', '10s')
  .option('--chunk <n>', 'messages in one transaction', Number, 200)
  .option('--chunk-ms <ms>', 'time a chunk takes, so that kills find work under way', Number, 300)
  .addOption(
    new Option('--only <scenario>', 'one of them').choices([
      'storm',
      'outage',
      'failover',
      'kills',
      'zombie',
      'reset',
      'strategies',
      'clocks',
    ]),
  )
  .option('--seed <n>', 'repeat the kills of an earlier run', Number, Math.floor(Math.random() * 2 ** 31))
  .addHelpText('after', '\nExamples:\n  $ npm run chaos\n  $ npm run chaos -- --kills 5 --messages 100000 --seed 7')
  .parse()
  .opts<{
    messages: number
    partitions: number
    workers: number
    kills: number
    stormPartitions: number
    faults: number
    outage: number
    rounds: number
    failoverMessages: number
    heartbeat: string
    chunk: number
    chunkMs: number
    seed: number
    only?: string
  }>()

const say = (text: string) => process.stderr.write(`${text}\n`)
const stack = await startStack(
  { temporal: true, postgres: true, kafka: true },
  { onProgress: (text) => say(String(text)) },
)
/** Each plays one scenario, prints what it came to, and tells whether that is as it should be. */
const scenarios: Record<string, () => Promise<boolean>> = {
  storm,
  outage,
  failover,
  kills,
  zombie,
  reset,
  strategies,
  clocks,
}
const failed: string[] = []
try {
  say(`seed ${options.seed}; Temporal UI ${stack.temporal.uiUrl}`)
  for (const [name, play] of Object.entries(scenarios))
    if ((options.only ?? name) === name && !(await play())) failed.push(name)
} finally {
  await stack.stop()
}
if (failed.length > 0) say(`failed: ${failed.join(', ')}`)
process.exit(failed.length > 0 ? 1 : 0)

async function storm(): Promise<boolean> {
  const broker = await startWiredBroker()
  try {
    const report = await scenario(
      options.messages,
      async (ground, workers) => {
        const crew = new Crew(workers, ground.parts, broker.wire)
        const plan = {
          ...options,
          pauseMs: [300, 2_700],
          lastsMs: [1_000, 12_000],
          random: randomFrom(options.seed),
          timeoutMs: 1_800_000,
          say,
        } as const
        // The workers' wires end with them.
        return drainInStorm(ground, crew, plan).finally(() => crew.end())
      },
      {
        partitions: options.stormPartitions,
        brokers: [broker.wire.address],
        // A storm takes its time.
        env: { CHAOS_SLICES: '8', CHAOS_CHUNK_MS: String(5 * options.chunkMs) },
      },
    )
    print({ scenario: 'storm', seed: options.seed, ...report })
    return report.lost + report.duplicates + report.disorder + report.crashed.length === 0
  } finally {
    await broker.stop()
  }
}

async function outage(): Promise<boolean> {
  const { temporal, stop } = await startStack({ temporal: { own: true, persist: true } })
  const client = new Client({ connection: await Connection.connect({ address: temporal.address }) })
  try {
    const parts = { databaseUrl: await newDatabase(), brokers: stack.kafka.brokers, temporal }
    const scene = await Scene.begin(parts, client)
    const { tallies, ...report } = await withTemporalAway(scene, temporal, client, options.outage * 1_000).finally(() =>
      scene.end(),
    )
    print({ scenario: 'outage', ...report, tallies })
    const [exact, plain] = tallies
    const whole = exact!.lost + exact!.repeated + plain!.lost === 0 && plain!.mostRepeated <= chunkSize
    return whole && report.pauseMs <= 2_000 && report.committed > report.committedAtLeast
  } finally {
    await client.connection.close()
    await stop()
  }
}

async function failover(): Promise<boolean> {
  const random = randomFrom(options.seed)
  let whole = true
  for (let round = 1; round <= options.rounds; round++) {
    const pair = await PostgresPair.start()
    try {
      // By turns: a store that is set back with the effects, and one that is not.
      const beside = round % 2 === 0
      const databaseUrl = pair.connectionString
      const { lost, duplicates, ...counts } = await scenario(
        options.failoverMessages,
        (ground, workers) =>
          drainWithFailover(ground, workers, pair, { workers: options.workers, random, timeoutMs: 600_000, say }),
        {
          databaseUrl,
          ...(beside ? {} : { storeUrl: await newDatabase() }),
          // Short batches: a store of its own is to be ahead of what the standby has.
          env: { CHAOS_CHUNK_MS: String(Math.round(options.chunkMs / 3)), CHAOS_BATCH: '1000' },
        },
      )
      const store = beside ? 'with the effects' : 'in another database'
      print({ scenario: 'failover', round, seed: options.seed, store, ...counts, lost, twice: duplicates })
      const { effectsLost, handledAgain, restored, disorder, torn, crashed } = counts
      const faults = lost + duplicates + disorder + torn + crashed.length
      // A round without such a loss would prove nothing.
      whole &&= faults === 0 && effectsLost > 0 && handledAgain === effectsLost && (beside || restored > 0)
    } finally {
      await pair.close()
    }
  }
  return whole
}

async function kills(): Promise<boolean> {
  const { failoversMs, ...counts } = await scenario(options.messages, (ground, workers) =>
    drainWithKills(ground, workers, {
      ...options,
      pauseMs: [200, 3_000],
      random: randomFrom(options.seed),
      timeoutMs: 1_800_000,
      say,
    }),
  )
  const at = (share: number) => failoversMs[Math.min(failoversMs.length - 1, Math.floor(failoversMs.length * share))]
  say(`fail-over ms: ${failoversMs.join(' ')}`)
  const failoverMs = { count: failoversMs.length, p50: at(0.5), p90: at(0.9), max: failoversMs.at(-1) }
  print({ scenario: 'kills', ...counts, failoverMs })
  return counts.lost + counts.duplicates === 0
}

async function zombie(): Promise<boolean> {
  const verdict = await scenario(Math.min(100_000, options.messages), (ground, workers) =>
    drainWithZombie(ground, workers, 600_000),
  )
  print({ scenario: 'zombie', ...verdict })
  return verdict.lost + verdict.duplicates === 0 && verdict.fenced > 0
}

async function reset(): Promise<boolean> {
  const report = await scenario(Math.min(100_000, options.messages), (ground, workers) =>
    resetWithFrozen(ground, workers, 500, 600_000),
  )
  print({ scenario: 'reset', ...report })
  return report.lost + report.duplicates + report.duplicatesBefore === 0
}

async function strategies(): Promise<boolean> {
  const messages = 6_000
  const rows = await scenario(
    messages,
    async (ground, workers) => {
      await prepareMatrix(ground, messages)
      return playMatrix(ground, workers, { kills: 10, random: randomFrom(options.seed), say })
    },
    { config: 'test/chaos/matrix/tidemark.config.ts', partitions: 2 },
  )
  for (const row of rows) print({ scenario: 'strategies', ...row })
  return rows.every(({ lost, duplicates, allowed }) => lost === 0 && duplicates <= allowed)
}

/** Needs a C compiler. Temporal's own clock is not set: Go asks the kernel for the time, and no library. */
async function clocks(): Promise<boolean> {
  let whole = true
  await withClocksSet(stack.temporal, ({ clock, report }) => {
    print({ scenario: 'clocks', clock, ...report })
    const { lost, repeated, disorder, pauseMs, stopped, seen } = report
    // Both settings were really seen, in whole hours.
    const set = String(seen.map((seconds) => Math.round(seconds / 60))) === '-60,60,0'
    whole &&= set && lost + repeated + disorder + stopped.length === 0 && pauseMs < 5_000
  })
  print({
    scenario: 'clocks',
    clock: 'Temporal',
    skipped: 'it is written in Go, which asks the kernel for the time itself',
  })
  return whole
}

function print(line: object): void {
  console.log(JSON.stringify(line))
}

async function newDatabase(): Promise<string> {
  const name = unique('chaos').replace('-', '_')
  const admin = new pg.Client({ connectionString: stack.postgres.connectionString })
  await admin.connect()
  await admin.query(`create database ${name}`)
  await admin.end()
  const url = new URL(stack.postgres.connectionString)
  url.pathname = `/${name}`
  return url.href
}

async function scenario<T>(
  messages: number,
  play: (ground: Ground, workers: Workers) => Promise<T>,
  change: {
    readonly config?: string
    readonly partitions?: number
    readonly brokers?: readonly string[]
    readonly databaseUrl?: string
    /** The store's, where it is another one. */
    readonly storeUrl?: string
    readonly env?: Readonly<Record<string, string>>
  } = {},
): Promise<T> {
  const { storeUrl, databaseUrl = await newDatabase() } = change
  const apart = storeUrl === undefined ? {} : { storeUrl }
  const { config, partitions = options.partitions, brokers = stack.kafka.brokers } = change
  const { address, namespace } = stack.temporal
  const ground = new Ground(
    { databaseUrl, ...apart, brokers, temporal: { address, namespace } },
    unique('chaos'),
    messages,
    partitions,
  )
  const workers = new Workers(
    {
      DATABASE_URL: databaseUrl,
      KAFKA_BROKERS: brokers.join(','),
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      CHAOS_TOPIC: ground.topic,
      CHAOS_CHUNK: String(options.chunk),
      CHAOS_CHUNK_MS: String(options.chunkMs),
      CHAOS_HEARTBEAT: options.heartbeat,
      ...(storeUrl === undefined ? {} : { CHAOS_STORE_URL: storeUrl }),
      ...change.env,
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
