import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig, type TidemarkConfig } from '../../src/config/define.js'
import {
  appendEvents,
  createStream,
  postgresDatabase,
  postgresStore,
  postgresStream,
} from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import type { GroupName } from '../../src/model/partition.js'
import { type Running, rowsOf, run } from './consume.js'
import { type FreshDatabase, freshDatabase } from './fresh-database.js'
import { unique } from './unique.js'
import { waitFor } from './wait-for.js'

export const partitions = [0, 1, 2, 3]

/** A group with two slices whose worker runs in this process, with a database of its own, and messages that come all the time. */
export class LoadedGroup {
  readonly name: GroupName = { group: 'billing', stream: unique('orders') }
  worker!: Running
  config!: TidemarkConfig
  #appended = 0
  #over = false
  #load: Promise<void> = Promise.resolve()

  private constructor(
    private readonly database: FreshDatabase,
    private readonly client: Client,
  ) {}

  /** Resolves once every partition is worked. */
  static async begin(
    temporal: { readonly address: string; readonly namespace: string },
    client: Client,
  ): Promise<LoadedGroup> {
    const group = new LoadedGroup(await freshDatabase(), client)
    const { stream } = group.name
    const { connectionString } = group.database
    await createStream(connectionString, { stream, partitions: partitions.length })
    await group.ask('create table effects (n int, partition int, at timestamptz default clock_timestamp())')
    const database = postgresDatabase({ connectionString, poolSize: 5 })
    const { address, namespace } = temporal
    group.config = defineConfig({
      store: postgresStore({ connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer<number>({
          group: group.name.group,
          source: postgresStream({ connectionString, stream }),
          slices: 2,
          heartbeatTimeout: '2s',
          batch: { maxDuration: '1s', idleGap: '300ms' },
          handler: transactional<number>(
            async (messages, { tx, partition }) => {
              const values = messages.map(({ value }) => value)
              await tx.query('insert into effects (n, partition) select unnest($1::int[]), $2', [values, partition])
            },
            { database },
          ),
        }),
      ],
    })
    group.worker = await run(group.config)
    group.#load = group.#append()
    await group.worked(partitions)
    return group
  }

  ask<T extends object>(text: string, values: unknown[] = []): Promise<T[]> {
    return rowsOf<T>(this.database.connectionString, text, values)
  }

  /** Waits until each of these partitions has handled messages in two batches that began from now on. */
  async worked(which: readonly number[]): Promise<void> {
    for (let round = 0; round < 1; round++) {
      const before = await this.#batches()
      await waitFor(
        async () => {
          const now = await this.#batches()
          const behind = which.filter((one) => now.get(one) === undefined || now.get(one) === before.get(one))
          if (behind.length === 0) return true
          throw new Error(`partitions ${behind} still have the batches ${behind.map((one) => now.get(one))}`)
        },
        { what: `new batches of the partitions ${which}`, timeout: 60_000 },
      )
    }
  }

  /** How many effects a partition has had since then, by the database's clock. */
  async effectsSince(at: Date, partition: number): Promise<number> {
    const [row] = await this.ask<{ n: number }>(
      'select count(*)::int n from effects where at > $1 and partition = $2',
      [at, partition],
    )
    return row!.n
  }

  async now(): Promise<Date> {
    return (await this.ask<{ now: Date }>('select clock_timestamp() now'))[0]!.now
  }

  async states(): Promise<string[]> {
    return (await groupStatus(this.client, this.name)).partitions.map(({ state }) => state)
  }

  is(state: string, partition: number): Promise<true> {
    const what = `partition ${partition} to be ${state}`
    return waitFor(
      async () => {
        const states = await this.states()
        if (states[partition] === state) return true as const
        throw new Error(`they are ${states}`)
      },
      { what, timeout: 60_000 },
    )
  }

  /** Ends the load, and waits until every message has had its effect. Returns how often those of each partition had it, in their order. */
  async settled(): Promise<number[][]> {
    this.#over = true
    await this.#load
    const all = async () => (await this.ask<{ n: number }>('select count(distinct n)::int n from effects'))[0]!.n
    await waitFor(async () => (await all()) === this.#appended, { what: 'all effects', timeout: 60_000 })
    const rows = await this.ask<{ times: number[] }>(
      `select array_agg(times order by n) times from (select partition, n, count(*)::int times from effects group by 1, 2) each
       group by partition order by partition`,
    )
    return rows.map(({ times }) => times)
  }

  async end(): Promise<void> {
    this.#over = true
    await this.#load.catch(() => {})
    await this.worker?.stop().catch(() => {})
    await this.database.drop()
  }

  /** The token that each partition's progress was last moved with, without its attempt. */
  async #batches(): Promise<Map<number, string>> {
    const rows = await this.ask<{ partition: number; token: string }>(
      `select p.partition, p.epoch || '/' || p.batch token from tidemark.consumer_progress p where p.position > p.replay_from`,
    )
    return new Map(rows.map(({ partition, token }) => [partition, token]))
  }

  async #append(): Promise<void> {
    while (!this.#over) {
      const values = Array.from({ length: 20 }, () => this.#appended++)
      const events = values.map((value) => ({ key: `${value}`, value }))
      await appendEvents(this.database.connectionString, this.name.stream, events)
      await sleep(50)
    }
  }
}
