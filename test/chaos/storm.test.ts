import { expect, it } from 'vitest'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { Ground } from './ground.js'
import { randomFrom } from './seed.js'
import { startWiredBroker } from './storm/broker.js'
import { Crew } from './storm/crew.js'
import { drainInStorm } from './storm/storm.js'
import { Workers } from './workers.js'

/** The short form of `npm run chaos -- --only storm`. */
describeWith(['kafka', 'postgres', 'temporal'], 'a storm', () => {
  it('of faults of workers and wires loses nothing, writes nothing twice, and keeps the order', async () => {
    const seed = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31))
    const endings: (() => Promise<unknown>)[] = []
    try {
      const [database, broker] = await Promise.all([freshDatabase(), startWiredBroker()])
      endings.push(database.drop, broker.stop)
      const parts = {
        databaseUrl: database.connectionString,
        brokers: [broker.wire.address],
        temporal: part('temporal'),
      }
      const ground = new Ground(parts, unique('storm'), 60_000, 16)
      endings.push(() => ground.close())
      const workers = new Workers({
        KAFKA_BROKERS: broker.wire.address,
        TEMPORAL_NAMESPACE: parts.temporal.namespace,
        CHAOS_TOPIC: ground.topic,
        CHAOS_CHUNK: '100',
        CHAOS_CHUNK_MS: '500',
        CHAOS_HEARTBEAT: '3s',
        CHAOS_SLICES: '4',
      })
      const crew = new Crew(workers, parts, broker.wire)
      endings.push(() => crew.end())
      await ground.prepare()
      const report = await drainInStorm(ground, crew, {
        faults: 12,
        workers: 3,
        pauseMs: [500, 3_000],
        lastsMs: [500, 5_000],
        random: randomFrom(seed),
        timeoutMs: 120_000,
        say: process.env.CHAOS_SAY ? console.error : () => {},
      })
      if (process.env.CHAOS_SAY) console.error(JSON.stringify({ seed, ...report }))
      const { lost, duplicates, disorder, crashed, committed, messages } = report
      const expected = { lost: 0, duplicates: 0, disorder: 0, crashed: [], committed: messages, seed }
      expect({ lost, duplicates, disorder, crashed, committed, seed }).toEqual(expected)
    } finally {
      for (const end of endings.reverse()) await end()
    }
  })
})
