import { afterEach, expect, it } from 'vitest'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { resetWithFrozen } from './frozen-reset.js'
import { Ground } from './ground.js'
import { drainWithKills } from './kills.js'
import { playMatrix, prepareMatrix } from './matrix/matrix.js'
import { randomFrom } from './seed.js'
import { Workers } from './workers.js'
import { drainWithZombie } from './zombie.js'

/** The short form of `npm run chaos`. */
describeWith(['kafka', 'postgres', 'temporal'], 'chaos', () => {
  const endings: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const end of endings.splice(0).reverse()) await end()
  })

  async function prepare(
    messages: number,
    partitions = 4,
    config?: string,
  ): Promise<{ ground: Ground; workers: Workers }> {
    const database = await freshDatabase()
    const { brokers } = part('kafka')
    const { address, namespace } = part('temporal')
    const parts = { databaseUrl: database.connectionString, brokers, temporal: { address, namespace } }
    const ground = new Ground(parts, unique('chaos'), messages, partitions)
    const workers = new Workers(
      {
        DATABASE_URL: database.connectionString,
        KAFKA_BROKERS: brokers.join(','),
        TEMPORAL_ADDRESS: address,
        TEMPORAL_NAMESPACE: namespace,
        CHAOS_TOPIC: ground.topic,
        CHAOS_CHUNK: '200',
        CHAOS_CHUNK_MS: '60',
        CHAOS_HEARTBEAT: '2s',
      },
      config,
    )
    endings.push(
      () => database.drop(),
      () => ground.close(),
      () => workers.end(),
    )
    await ground.prepare()
    return { ground, workers }
  }

  it('a worker that was frozen while its partitions were taken over is fenced, and writes nothing twice', async () => {
    const { ground, workers } = await prepare(60_000)
    const { lost, duplicates, fenced } = await drainWithZombie(ground, workers, 120_000)
    expect({ lost, duplicates }).toEqual({ lost: 0, duplicates: 0 })
    expect(fenced).toBeGreaterThan(0)
  })

  // Not the first one: meanwhile other files start their workers, and this one takes the time.
  it('workers killed at random moments lose nothing and write nothing twice', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const { ground, workers } = await prepare(100_000)
    const report = await drainWithKills(ground, workers, {
      kills: 3,
      workers: 2,
      pauseMs: [500, 2_000],
      random: randomFrom(seed),
      timeoutMs: 120_000,
      say: () => {},
    })
    const { lost, duplicates, committed, messages } = report
    expect({ lost, duplicates, committed, seed }).toEqual({ lost: 0, duplicates: 0, committed: messages, seed })
    // The heartbeat timeout of 2 s, 3 s on top, and what a machine with other tests at work takes longer.
    expect(report.worstPerKillMs).toBeLessThan(15_000)
  })

  it('a reset under three busy workers, one of them frozen, is handled exactly once more', async () => {
    const { ground, workers } = await prepare(40_000)
    const { lost, duplicates, duplicatesBefore } = await resetWithFrozen(ground, workers, 500, 120_000)
    expect({ lost, duplicates, duplicatesBefore }).toEqual({ lost: 0, duplicates: 0, duplicatesBefore: 0 })
  })

  it('under every commit strategy kill -9 loses nothing, and repeats no more than the strategy allows', async () => {
    const messages = 600
    const { ground, workers } = await prepare(messages, 2, 'test/chaos/matrix/tidemark.config.ts')
    await prepareMatrix(ground, messages)
    const rows = await playMatrix(ground, workers, { kills: 2, random: Math.random, say: () => {} })
    for (const { consumer, lost, duplicates, allowed } of rows) {
      expect({ consumer, lost }).toEqual({ consumer, lost: 0 })
      expect(duplicates, consumer).toBeLessThanOrEqual(allowed)
    }
  })
})
