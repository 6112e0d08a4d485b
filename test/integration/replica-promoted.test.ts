import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { applyReset } from '../../src/client/apply.js'
import { reopenPartitions } from '../../src/client/commands.js'
import { planReset } from '../../src/client/reset.js'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig, type TidemarkConfig } from '../../src/config/define.js'
import { kafka } from '../../src/entry/kafka.js'
import {
  appendEvents,
  createStream,
  postgresDatabase,
  postgresStore,
  postgresStream,
} from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import type { Duration } from '../../src/model/units.js'
import type { Source } from '../../src/ports/index.js'
import { type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { KafkaGround } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { PostgresPair, rowsAt } from '../support/postgres-pair.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const group = 'billing'
const partitions = 2
/** Messages that the replica must lack, at the least. */
const lag = 500
const timeout = 60_000

// A Postgres whose primary is killed under a worker at work, and whose replica takes over without the newest transactions.
describeWith(['postgres', 'kafka', 'temporal'], 'a lagging replica that is promoted', () => {
  /** Stands for one of three databases: the handlers', the store's, or the log's. */
  let pair: PostgresPair
  /** Stands for the others. */
  let other: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let ground: KafkaGround
  let worker: Running | undefined
  let endLoad: (() => Promise<unknown>) | undefined

  beforeEach(async () => {
    ;[pair, other, client, ground] = await Promise.all([
      PostgresPair.start({ durable: false }),
      freshDatabase(),
      temporalClient(),
      KafkaGround.on(part('kafka').brokers),
    ])
  })
  afterEach(async () => {
    await Promise.allSettled([endLoad?.(), worker?.stop()])
    endLoad = worker = undefined
    await Promise.all([client?.close(), ground?.close(), pair?.close()])
    await other?.drop()
  })

  interface Places {
    readonly source: Source<number>
    readonly store: string
    readonly handlers: string
    readonly restAfter?: Duration
  }
  async function begin({ source, store, handlers, restAfter = '60s' }: Places): Promise<TidemarkConfig> {
    const { address, namespace } = part('temporal')
    await rowsOf(handlers, 'create table effects (id serial, partition int, n int)')
    const config = defineConfig({
      store: postgresStore({ connectionString: store, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer<number>({
          group,
          source,
          slices: 1,
          heartbeatTimeout: '2s',
          batch: { maxDuration: '1s', idleGap: '300ms', restAfter },
          chunk: { maxMessages: 50 },
          handler: transactional<number>(
            async (messages, { tx, partition }) => {
              await tx.query('insert into effects (partition, n) select $1, unnest($2::int[])', [
                partition,
                messages.map(({ value }) => value),
              ])
            },
            { database: postgresDatabase({ connectionString: handlers, poolSize: 5 }) },
          ),
        }),
      ],
    })
    worker = await run(config)
    return config
  }

  /** Numbers from 0, written to a topic until `end`. */
  async function kafkaLoad() {
    const topic = await ground.topic({}, partitions)
    const producer = await ground.producer()
    let count = 0
    let ended = false
    const writing = (async () => {
      while (!ended) {
        const messages = Array.from({ length: 100 }, (_, i) => ({ value: `${count + i}`, partition: i % partitions }))
        await producer.send({ topic, messages })
        count += messages.length
        await sleep(25)
      }
    })()
    const end = async () => {
      ended = true
      await writing
      return count
    }
    endLoad = end
    return {
      topic,
      source: kafka<number>({ brokers: part('kafka').brokers, topic }),
      /** Says how many there are. */
      end,
    }
  }

  const effectsAt = async (connectionString: string) =>
    rowsOf<{ partition: number; n: number }>(connectionString, 'select partition, n from effects order by id')
  const countAt = async (connectionString: string) =>
    (await rowsOf<{ n: number }>(connectionString, 'select count(*)::int n from effects'))[0]!.n
  const effectsReach = (connectionString: string, count: number) =>
    waitFor(async () => (await countAt(connectionString)) >= count, { what: `${count} effects`, timeout })
  /** The lowest position of a table of positions, once all partitions are there. */
  const lowest = async (connectionString: string, table: 'consumer_offsets' | 'consumer_progress') => {
    const [row] = await rowsOf<{ n: number; lowest: string }>(
      connectionString,
      `select count(*)::int n, min(position) as lowest from tidemark.${table}`,
    )
    return row!.n === partitions ? Number(row!.lowest) : 0
  }
  /** Cuts the standby off once it has something of a table of positions, and waits until the store is far ahead of that. */
  async function fallBehind(table: 'consumer_offsets' | 'consumer_progress', store: string): Promise<void> {
    const { connectionString } = pair.standby
    await waitFor(async () => (await lowest(connectionString, table)) > 0, {
      what: 'positions in the standby',
      timeout,
    })
    pair.lag()
    const [row] = await rowsOf<{ most: string }>(
      connectionString,
      `select max(position) as most from tidemark.${table}`,
    )
    const ahead = Number(row!.most) + lag
    await waitFor(async () => (await lowest(store, 'consumer_offsets')) > ahead, {
      what: `commits of ${ahead}`,
      timeout,
    })
  }
  /** Gives the partitions an epoch that the standby knows nothing of. */
  async function openAgain(stream: string, store: string): Promise<void> {
    const epochs = async (connectionString: string) =>
      (await rowsOf<{ epoch: string }>(connectionString, 'select epoch from tidemark.consumer_offsets')).map(
        ({ epoch }) => Number(epoch),
      )
    const before = Math.max(...(await epochs(pair.standby.connectionString)))
    await reopenPartitions(client, { group, stream }, [0, 1])
    await waitFor(async () => Math.min(...(await epochs(store))) > before, { what: 'new epochs', timeout })
  }
  /** All messages have had their effect once, those of a partition in order. */
  async function once(connectionString: string, count: number): Promise<void> {
    await effectsReach(connectionString, count)
    const effects = await effectsAt(connectionString)
    expect(effects.map(({ n }) => n).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n))
    for (let partition = 0; partition < partitions; partition++) {
      const theirs = effects.filter((effect) => effect.partition === partition).map(({ n }) => n)
      expect(theirs).toEqual(theirs.toSorted((a, b) => a - b))
    }
  }
  const committed = (store: string, count: number) =>
    waitFor(async () => (await lowest(store, 'consumer_offsets')) >= count / partitions, {
      what: 'the commit of all',
      timeout,
    })

  it("takes the handlers' effects and progress back alike: what it lacks is handled again, everything once", async () => {
    const handlers = pair.connectionString
    const load = await kafkaLoad()
    await begin({ source: load.source, store: other.connectionString, handlers })
    await fallBehind('consumer_progress', other.connectionString)
    const before = await countAt(handlers)
    await pair.failOver()
    expect(before - (await countAt(pair.standby.connectionString))).toBeGreaterThan(0)
    await effectsReach(handlers, before + 1_000)
    const count = await load.end()
    await once(handlers, count)
    await committed(other.connectionString, count)
    const changes = await rowsOf<{ kind: string; partition: number; why: string }>(
      other.connectionString,
      'select kind, partition, why from tidemark.consumer_changes order by partition',
    )
    expect(changes).toMatchObject([
      { kind: 'restored', partition: 0, why: expect.stringContaining("the handlers' database was set back") },
      { kind: 'restored', partition: 1 },
    ])
  })

  it.each([
    ['waits for messages', '60s'],
    ['rests', '1s'],
  ] as const)('is noticed by a group that %s, too', async (_, restAfter) => {
    const handlers = pair.connectionString
    const load = await kafkaLoad()
    await begin({ source: load.source, store: other.connectionString, handlers, restAfter })
    await fallBehind('consumer_progress', other.connectionString)
    const count = await load.end()
    await once(handlers, count)
    await committed(other.connectionString, count)
    const atRest = async () => {
      const { partitions: all } = await groupStatus(client, { group, stream: load.topic })
      return all.every(({ working }) => !working)
    }
    // A batch to which messages come ends after a second.
    const waits = async () => {
      const batches = () =>
        rowsOf(handlers, 'select partition, batch from tidemark.consumer_progress order by partition')
      const before = await batches()
      await sleep(2_500)
      return JSON.stringify(before) === JSON.stringify(await batches())
    }
    await waitFor(restAfter === '1s' ? atRest : waits, { what: 'the group to have nothing to do', timeout })
    await pair.failOver()
    expect(await countAt(pair.standby.connectionString)).toBeLessThan(count)
    await once(handlers, count)
  })

  it("takes the store's positions back: the handlers' progress counts, and everything is handled once", async () => {
    const store = pair.connectionString
    const load = await kafkaLoad()
    await begin({ source: load.source, store, handlers: other.connectionString })
    await fallBehind('consumer_offsets', store)
    await openAgain(load.topic, store)
    await pair.failOver()
    await effectsReach(other.connectionString, (await countAt(other.connectionString)) + 1_000)
    const count = await load.end()
    await once(other.connectionString, count)
    await committed(store, count)
  })

  it('takes back events that were read: a log that ends before the position stops, and what stands at the cut is handled', async () => {
    const log = await eventLog()
    await log.loseSome()
    await pair.failOver()
    await log.blocked(0)
    await log.blocked(1)
    await log.append(pair.standby, 600)
    await log.allHandled()
  })

  it('takes back events that were read: others that have got their positions by then are not skipped in silence', async () => {
    const log = await eventLog()
    await log.loseSome()
    await pair.kill()
    await pair.promote()
    await log.append(pair.standby, 600)
    pair.lead()
    await log.allHandled()
  })

  /** An event stream in the pair, read by a worker whose databases are elsewhere. */
  async function eventLog() {
    const stream = unique('orders')
    let appended = 0
    /** Position behind the last event that the standby has. */
    let cut = 0n
    await createStream(pair.primary.connectionString, { stream, partitions })
    const config = await begin({
      source: postgresStream<number>({ connectionString: pair.connectionString, stream, poolSize: 5 }),
      store: other.connectionString,
      handlers: other.connectionString,
    })
    const append = async ({ connectionString }: PostgresPair['primary'], count: number) => {
      const values = Array.from({ length: count }, () => appended++)
      await appendEvents(
        connectionString,
        stream,
        values.map((value) => ({ key: `${value}`, value })),
      )
    }
    const view = async (partition: number) =>
      (await groupStatus(client, { group, stream })).partitions.find((one) => one.partition === partition)!
    const isBlocked = async (partition: number) => {
      const { state, reason } = await view(partition)
      if (state === 'blocked') expect(reason).toMatch(/is out of range|was cut somewhere/)
      return state === 'blocked'
    }
    return {
      append,
      /** Events that come after the cut are handled. */
      loseSome: async () => {
        await append(pair.primary, 300)
        const last = async () => {
          const [row] = await rowsAt<{ n: number; last: string }>(
            pair.standby,
            'select count(*)::int n, max(position) as last from tidemark.events',
          )
          return row!.n === appended && BigInt(row!.last)
        }
        cut = (await waitFor(last, { what: 'the standby to have all' })) + 1n
        pair.lag()
        await append(pair.primary, 300)
        await once(other.connectionString, appended)
      },
      blocked: (partition: number) =>
        waitFor(() => isBlocked(partition), { what: `partition ${partition} to stop`, timeout }),
      /** Each event that there ever was has its effect, once. Who has stopped is put at the cut. */
      allHandled: async () => {
        const reset = new Set<number>()
        await waitFor(
          async () => {
            for (let partition = 0; partition < partitions; partition++) {
              if (reset.has(partition) || !(await isBlocked(partition))) continue
              reset.add(partition)
              await applyReset(config, await planReset(config, { group, partitions: [partition], to: { offset: cut } }))
            }
            const handled = await countAt(other.connectionString)
            if (handled >= appended) return true
            throw new Error(`${handled} of ${appended} effects, after resets of ${[...reset]}`)
          },
          { what: 'all effects', timeout: 30_000 },
        )
        await once(other.connectionString, appended)
      },
    }
  }
})
