import { afterEach, beforeEach, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { everyN, manual, periodic } from '../../src/config/strategy.js'
import { transactional } from '../../src/handlers/handler.js'
import type { Message } from '../../src/ports/index.js'
import { appendEvents } from '../../src/postgres/output/append.js'
import { postgresStream } from '../../src/postgres/source/stream.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { text } from '../../src/reading/value.js'
import { type Running, rowsOf, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['postgres', 'temporal'], 'commit strategies', () => {
  let database: FreshDatabase
  let taskQueue: string
  let stream: string
  const running: Running[] = []
  const group = 'billing'

  beforeEach(async () => {
    database = await freshDatabase()
    taskQueue = unique('queue')
    stream = unique('orders')
    await rowsOf(database.connectionString, 'create table effects (off bigint, replay int)')
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop().catch(() => {})))
    await database.drop()
  })

  async function start(change: Pick<ConsumerOptions<string>, 'commit' | 'handler'>): Promise<Running> {
    const { connectionString } = database
    const { address, namespace } = part('temporal')
    const one = await run(
      defineConfig({
        store: postgresStore({ connectionString, poolSize: 5 }),
        temporal: { address, namespace },
        taskQueue,
        consumers: [
          consumer<string>({
            group,
            source: postgresStream({ connectionString, stream, partitions: 1, value: text() }),
            heartbeatTimeout: '2s',
            // No batch ends by itself during a test: what is committed is the strategy's doing.
            batch: { maxDuration: '2m', idleGap: '1m' },
            ...change,
          }),
        ],
      }),
    )
    running.push(one)
    return one
  }
  const append = (count: number) =>
    appendEvents(
      database.connectionString,
      stream,
      Array.from({ length: count }, (_, n) => ({ value: `e${n}` })),
    )
  const position = async () => {
    const [row] = await rowsOf<{ position: string }>(
      database.connectionString,
      'select position from tidemark.consumer_offsets',
    )
    return Number(row?.position ?? -1)
  }
  const last = async () => {
    const [row] = await rowsOf<{ last: string }>(
      database.connectionString,
      'select max(position) as last from tidemark.events',
    )
    return Number(row!.last)
  }
  const committedAll = () =>
    waitFor(async () => (await position()) === (await last()) + 1, { what: 'the commit of the last event' })

  it('afterEach hands out one message at a time, and commits each', async () => {
    const sizes: number[] = []
    const before: number[] = []
    await start({
      commit: 'afterEach',
      handler: async (messages) => {
        sizes.push(messages.length)
        before.push(Number(messages[0]!.offset) - (await position()))
      },
    })
    await append(20)
    await committedAll()
    expect(sizes).toEqual(Array(20).fill(1))
    // When a message is handled, all before it are committed.
    expect(before.slice(1)).toEqual(Array(19).fill(0))
  })

  it('everyN commits after n messages, and hands out no more than n', async () => {
    const handled: number[] = []
    const committed = new Set<number>()
    await start({
      commit: everyN(7),
      handler: async (messages) => {
        committed.add(await position())
        handled.push(messages.length)
      },
    })
    await append(70)
    await committedAll()
    expect(handled.reduce((sum, count) => sum + count, 0)).toBe(70)
    expect(Math.max(...handled)).toBeLessThanOrEqual(7)
    expect(committed.size).toBeGreaterThanOrEqual(9)
  })

  it('periodic commits while the batch goes on', async () => {
    let done = 0
    await start({
      commit: periodic('100ms'),
      handler: transactional(async (messages, { tx }) => {
        await tx.query('insert into effects select unnest($1::bigint[]), 0', [
          messages.map(({ offset }) => `${offset}`),
        ])
        done += messages.length
      }),
    })
    for (let n = 1; n <= 5; n++) {
      await append(10)
      await waitFor(() => done === n * 10, { what: `round ${n}` })
    }
    await committedAll()
  })

  it('afterBatch commits nothing before the batch ends', async () => {
    let done = 0
    const one = await start({
      handler: (messages) => {
        done += messages.length
      },
    })
    await append(10)
    await waitFor(() => done === 10, { what: 'the handler' })
    expect(await position()).toBeLessThan(await last())
    await one.stop()
    running.splice(0)
  })

  it('manual commits what is stored, at once when asked, and nothing else, also at shutdown', async () => {
    const got: bigint[] = []
    const handler = async (
      messages: readonly Message<string>[],
      context: { storeOffset(m: Message): void; commit(): Promise<void> },
    ) => {
      got.push(...messages.map(({ offset }) => offset))
      for (const message of messages) if (got.length <= 6) context.storeOffset(message)
      if (got.length <= 6) await context.commit()
    }
    const one = await start({ commit: manual('1h'), handler })
    await append(6)
    await committedAll()
    const stored = await position()
    await append(4)
    await waitFor(() => got.length === 10, { what: 'the rest' })
    await one.stop()
    running.splice(0)
    expect(await position()).toBe(stored)
    // What was not stored is handed out again.
    const again: bigint[] = []
    await start({
      commit: manual('100ms'),
      handler: (messages, context) => {
        again.push(...messages.map(({ offset }) => offset))
        for (const message of messages) context.storeOffset(message)
      },
    })
    await committedAll()
    expect(again).toEqual(got.slice(6))
  })

  it('manual takes a message that is stored long after the handler has returned', async () => {
    let later: (() => void) | undefined
    await start({
      commit: manual('50ms'),
      handler: (messages, context) => {
        later = () => context.storeOffset(messages.at(-1)!)
      },
    })
    await append(5)
    await waitFor(() => later !== undefined, { what: 'the handler' })
    expect(await position()).toBeLessThanOrEqual(await last())
    later!()
    await committedAll()
  })

  it('manual in a transaction moves progress to what is stored, in that transaction', async () => {
    let fail = true
    await start({
      commit: manual('50ms'),
      handler: transactional(async (messages, { tx, storeOffset }) => {
        await tx.query('insert into effects select unnest($1::bigint[]), 0', [
          messages.map(({ offset }) => `${offset}`),
        ])
        for (const message of messages) storeOffset(message)
        if (fail) {
          fail = false
          throw new Error('once')
        }
      }),
    })
    await append(10)
    await committedAll()
    const [row] = await rowsOf<{ n: number; d: number }>(
      database.connectionString,
      'select count(*)::int as n, count(distinct off)::int as d from effects',
    )
    expect(row).toEqual({ n: 10, d: 10 })
  })

  it('storeOffset under another strategy says what to change', async () => {
    const one = await start({
      handler: (messages, { storeOffset }) => storeOffset(messages[0]!),
    })
    await append(1)
    await waitFor(() => one.log.lines.some((line) => line.includes("storeOffset needs the option commit: 'manual'")), {
      what: 'the error',
    })
  })
})
