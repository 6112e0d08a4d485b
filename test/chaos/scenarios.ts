import { Client, Connection } from '@temporalio/client'
import { startStack } from '../../src/local/stack.js'
import { PostgresPair } from '../support/postgres-pair.js'
import { withClocksSet } from './clocks/clocks.js'
import { drainWithFailover } from './failover.js'
import { playFailures } from './failures/failures.js'
import { resetWithFrozen } from './frozen-reset.js'
import { drainWithKills } from './kills.js'
import { playMatrix, prepareMatrix } from './matrix/matrix.js'
import { withTemporalAway } from './outage/away.js'
import { chunkSize } from './outage/ground.js'
import { Scene } from './outage/scene.js'
import { randomFrom } from './seed.js'
import type { Stage } from './stage.js'
import { startWiredBroker } from './storm/broker.js'
import { Crew } from './storm/crew.js'
import { drainInStorm } from './storm/storm.js'
import { drainWithZombie } from './zombie.js'

/** Each plays one scenario, prints what it came to, and tells whether that is as it should be. */
export const scenarios: Readonly<Record<string, (stage: Stage) => Promise<boolean>>> = {
  storm,
  outage,
  failover,
  kills,
  zombie,
  reset,
  strategies,
  clocks,
  failures,
}

async function storm(stage: Stage): Promise<boolean> {
  const broker = await startWiredBroker()
  try {
    const report = await stage.scenario(
      stage.options.messages,
      async (ground, workers) => {
        const crew = new Crew(workers, ground.parts, broker.wire)
        const plan = {
          ...stage.options,
          pauseMs: [300, 2_700],
          lastsMs: [1_000, 12_000],
          random: randomFrom(stage.options.seed),
          timeoutMs: 1_800_000,
          say: stage.say,
        } as const
        // The workers' wires end with them.
        return drainInStorm(ground, crew, plan).finally(() => crew.end())
      },
      {
        partitions: stage.options.stormPartitions,
        brokers: [broker.wire.address],
        // A storm takes its time.
        env: { CHAOS_SLICES: '8', CHAOS_CHUNK_MS: String(5 * stage.options.chunkMs) },
      },
    )
    stage.print({ scenario: 'storm', seed: stage.options.seed, ...report })
    return report.lost + report.duplicates + report.disorder + report.crashed.length === 0
  } finally {
    await broker.stop()
  }
}

async function outage(stage: Stage): Promise<boolean> {
  const { temporal, stop } = await startStack({ temporal: { own: true, persist: true } })
  const client = new Client({ connection: await Connection.connect({ address: temporal.address }) })
  try {
    const parts = { databaseUrl: await stage.newDatabase(), brokers: stage.stack.kafka.brokers, temporal }
    const scene = await Scene.begin(parts, client)
    const { tallies, ...report } = await withTemporalAway(
      scene,
      temporal,
      client,
      stage.options.outage * 1_000,
    ).finally(() => scene.end())
    stage.print({ scenario: 'outage', ...report, tallies })
    const [exact, plain] = tallies
    const whole = exact!.lost + exact!.repeated + plain!.lost === 0 && plain!.mostRepeated <= chunkSize
    return whole && report.pauseMs <= 2_000 && report.committed > report.committedAtLeast
  } finally {
    await client.connection.close()
    await stop()
  }
}

async function failover(stage: Stage): Promise<boolean> {
  const random = randomFrom(stage.options.seed)
  let whole = true
  for (let round = 1; round <= stage.options.rounds; round++) {
    const pair = await PostgresPair.start()
    try {
      // By turns: a store that is set back with the effects, and one that is not.
      const beside = round % 2 === 0
      const databaseUrl = pair.connectionString
      const { lost, duplicates, ...counts } = await stage.scenario(
        stage.options.failoverMessages,
        (ground, workers) =>
          drainWithFailover(ground, workers, pair, {
            workers: stage.options.workers,
            random,
            timeoutMs: 600_000,
            say: stage.say,
          }),
        {
          databaseUrl,
          ...(beside ? {} : { storeUrl: await stage.newDatabase() }),
          // Short batches: a store of its own is to be ahead of what the standby has.
          env: { CHAOS_CHUNK_MS: String(Math.round(stage.options.chunkMs / 3)), CHAOS_BATCH: '1000' },
        },
      )
      const store = beside ? 'with the effects' : 'in another database'
      stage.print({ scenario: 'failover', round, seed: stage.options.seed, store, ...counts, lost, twice: duplicates })
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

async function kills(stage: Stage): Promise<boolean> {
  const { failoversMs, ...counts } = await stage.scenario(stage.options.messages, (ground, workers) =>
    drainWithKills(ground, workers, {
      ...stage.options,
      pauseMs: [200, 3_000],
      random: randomFrom(stage.options.seed),
      timeoutMs: 1_800_000,
      say: stage.say,
    }),
  )
  const at = (share: number) => failoversMs[Math.min(failoversMs.length - 1, Math.floor(failoversMs.length * share))]
  stage.say(`fail-over ms: ${failoversMs.join(' ')}`)
  const failoverMs = { count: failoversMs.length, p50: at(0.5), p90: at(0.9), max: failoversMs.at(-1) }
  stage.print({ scenario: 'kills', ...counts, failoverMs })
  return counts.lost + counts.duplicates === 0
}

async function zombie(stage: Stage): Promise<boolean> {
  const verdict = await stage.scenario(Math.min(100_000, stage.options.messages), (ground, workers) =>
    drainWithZombie(ground, workers, 600_000),
  )
  stage.print({ scenario: 'zombie', ...verdict })
  return verdict.lost + verdict.duplicates === 0 && verdict.fenced > 0
}

async function reset(stage: Stage): Promise<boolean> {
  const report = await stage.scenario(Math.min(100_000, stage.options.messages), (ground, workers) =>
    resetWithFrozen(ground, workers, 500, 600_000),
  )
  stage.print({ scenario: 'reset', ...report })
  return report.lost + report.duplicates + report.duplicatesBefore === 0
}

async function strategies(stage: Stage): Promise<boolean> {
  const messages = 6_000
  const rows = await stage.scenario(
    messages,
    async (ground, workers) => {
      await prepareMatrix(ground, messages)
      return playMatrix(ground, workers, { kills: 10, random: randomFrom(stage.options.seed), say: stage.say })
    },
    { config: 'test/chaos/matrix/tidemark.config.ts', partitions: 2 },
  )
  for (const row of rows) stage.print({ scenario: 'strategies', ...row })
  return rows.every(({ lost, duplicates, allowed }) => lost === 0 && duplicates <= allowed)
}

/** Needs a C compiler. Temporal's own clock is not set: Go asks the kernel for the time, and no library. */
async function clocks(stage: Stage): Promise<boolean> {
  let whole = true
  await withClocksSet(stage.stack.temporal, ({ clock, report }) => {
    stage.print({ scenario: 'clocks', clock, ...report })
    const { lost, repeated, disorder, pauseMs, stopped, seen } = report
    // Both settings were really seen, in whole hours.
    const set = String(seen.map((seconds) => Math.round(seconds / 60))) === '-60,60,0'
    whole &&= set && lost + repeated + disorder + stopped.length === 0 && pauseMs < 5_000
  })
  stage.print({
    scenario: 'clocks',
    clock: 'Temporal',
    skipped: 'it is written in Go, which asks the kernel for the time itself',
  })
  return whole
}

/** Starts a Postgres of its own, which is killed. */
async function failures(stage: Stage): Promise<boolean> {
  const { options, stack, say } = stage
  const { messages, faults, seed, workers, serviceAway } = options
  const { wrong, ...report } = await playFailures({
    brokers: stack.kafka.brokers,
    temporal: stack.temporal,
    messages,
    keys: 1_000,
    partitions: 8,
    heavy: messages < 100_000 ? 2 : 5,
    workers,
    faults,
    seed,
    heartbeatMs: 5_000,
    serviceAwayMs: serviceAway * 1_000,
    lockMs: 20_000,
    lastsMs: [1_000, 10_000],
    redriveKills: 2,
    timeoutMs: 1_800_000,
    say,
  })
  stage.print({ scenario: 'failures', seed, messages, ...report, wrong })
  return wrong === 0
}
