import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { applyReset } from '../../src/client/apply.js'
import { planReset } from '../../src/client/reset.js'
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
import { type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** What a backup of a database holds. Generated columns are left out. */
const tables = {
  effects: 'n',
  'tidemark.consumer_progress':
    '"group", stream, partition, position, epoch, batch, attempt, replay, replay_from, raised, owner, identity, witness',
  'tidemark.consumer_offsets': '"group", stream, partition, "offset", epoch, replay, identity',
} as const
type Table = keyof typeof tables
const ofHandlers: readonly Table[] = ['effects', 'tidemark.consumer_progress']
const ofStore: readonly Table[] = ['tidemark.consumer_offsets']

// Databases that are restored to an older state, or emptied, under a worker that goes on.
describeWith(['postgres', 'temporal'], 'a database that is set back', () => {
  /** The handlers' database, the offset store's, and the log's. */
  let handlers: FreshDatabase
  let store: FreshDatabase
  let log: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let stream: string
  let worker: Running
  let config: TidemarkConfig
  let appended: number
  const group = 'billing'

  beforeEach(async () => {
    ;[handlers, store, log] = await Promise.all([freshDatabase(), freshDatabase(), freshDatabase()])
    client = await temporalClient()
    stream = unique('orders')
    appended = 0
    await createStream(log.connectionString, { stream, partitions: 2 })
  })
  afterEach(async () => {
    await worker?.stop().catch(() => {})
    await client?.close()
    await Promise.all([handlers, store, log].map((one) => one?.drop()))
  })

  /** @param apart whether the store's database is another one than the handlers' */
  async function begin({ apart }: { apart: boolean }): Promise<void> {
    if (!apart) {
      await store.drop()
      store = handlers
    }
    const { address, namespace } = part('temporal')
    const database = postgresDatabase({ connectionString: handlers.connectionString, poolSize: 5 })
    await rowsOf(handlers.connectionString, 'create table effects (n int)')
    config = defineConfig({
      store: postgresStore({ connectionString: store.connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer<number>({
          group,
          source: postgresStream({ connectionString: log.connectionString, stream }),
          slices: 1,
          heartbeatTimeout: '2s',
          batch: { maxDuration: '1s', idleGap: '300ms' },
          handler: transactional<number>(
            async (messages, { tx }) => {
              await tx.query('insert into effects select unnest($1::int[])', [messages.map(({ value }) => value)])
            },
            { database },
          ),
        }),
      ],
    })
    worker = await run(config)
  }
  async function append(count: number): Promise<void> {
    const values = Array.from({ length: count }, () => appended++)
    await appendEvents(
      log.connectionString,
      stream,
      values.map((value) => ({ key: `${value}`, value })),
    )
  }
  const effects = async () =>
    (await rowsOf<{ n: number }>(handlers.connectionString, 'select n from effects order by n')).map(({ n }) => n)
  const all = () => Array.from({ length: appended }, (_, n) => n)
  /** Waits until every message has had its effect, and sees that each has had it once. */
  const once = async () => {
    await waitFor(async () => new Set(await effects()).size === appended, { what: 'all effects', timeout: 60_000 })
    expect(await effects()).toEqual(all())
  }
  const status = async () => (await groupStatus(client, { group, stream })).partitions
  const committed = async () => {
    const rows = await rowsOf<{ position: string }>(
      store.connectionString,
      'select position from tidemark.consumer_offsets order by partition',
    )
    return rows.map(({ position }) => Number(position))
  }
  const atRest = async () => {
    await once()
    const done = async () =>
      (
        await rowsOf<{ position: string }>(
          handlers.connectionString,
          'select position from tidemark.consumer_progress order by partition',
        )
      ).map(({ position }) => Number(position))
    await waitFor(async () => String(await done()) === String(await committed()), { what: 'the commit of all' })
  }
  /** A group that has handled its first 100 messages, and committed them. */
  async function settled(where: { apart: boolean }): Promise<void> {
    await begin(where)
    await append(100)
    await atRest()
  }
  /** Keeps tables as they are, and gives what restores them. */
  async function backup({ connectionString }: FreshDatabase, names: readonly Table[]): Promise<() => Promise<void>> {
    const kept = (name: Table) => `kept_${name.replace('.', '_')}`
    const each = (statement: (name: Table) => string) =>
      rowsOf(connectionString, `begin; ${names.map(statement).join('; ')}; commit`)
    await each(
      (name) => `drop table if exists ${kept(name)}; create table ${kept(name)} as select ${tables[name]} from ${name}`,
    )
    return async () => {
      await each(
        (name) =>
          `delete from ${name}; insert into ${name} (${tables[name]}) select ${tables[name]} from ${kept(name)}`,
      )
    }
  }
  const empty = ({ connectionString }: FreshDatabase, names: readonly Table[]) =>
    rowsOf(connectionString, `truncate ${names.join(', ')}`)
  const history = () =>
    rowsOf<{ kind: string; why: string }>(
      store.connectionString,
      'select kind, why from tidemark.consumer_changes order by id',
    )
  /** Waits until both partitions have stopped, and says why the first has. */
  const stopped = () =>
    waitFor(
      async () => {
        const partitions = await status()
        return partitions.every(({ state }) => state === 'blocked') && partitions[0]!.reason
      },
      { what: 'both partitions to stop', timeout: 60_000 },
    )
  const startOver = async () => {
    await applyReset(config, await planReset(config, { group, to: 'first' }))
    await once()
  }

  describe("of the handlers, beside the store's", () => {
    it('is gone on from where it is: what it has lost is handled again', async () => {
      await settled({ apart: true })
      const restore = await backup(handlers, ofHandlers)
      await append(100)
      await atRest()
      await restore()
      await append(10)
      await once()
      await atRest()
      expect((await history()).map(({ kind }) => kind)).toEqual(['restored', 'restored'])
      expect((await history())[0]!.why).toContain("the handlers' database was set back")
    })

    it('to before a reset, is gone on from where the reset has put the position', async () => {
      await settled({ apart: true })
      const restore = await backup(handlers, ofHandlers)
      await rowsOf(handlers.connectionString, 'truncate effects')
      await applyReset(config, await planReset(config, { group, to: 'first' }))
      await atRest()
      await restore()
      await rowsOf(handlers.connectionString, 'truncate effects')
      await append(10)
      await once()
    })

    it('and emptied, stops and asks: nothing is skipped', async () => {
      await settled({ apart: true })
      await empty(handlers, ofHandlers)
      await append(10)
      const reason = await stopped()
      expect(reason).toContain("the handlers' database knows nothing of the partition")
      expect(reason).toContain(`tidemark reset --group ${group} --stream ${stream} --partition 0 --to`)
      expect(await effects()).toEqual([])
      await startOver()
    })
  })

  describe("of the store, beside the handlers'", () => {
    it('is overtaken by the progress of handlers: nothing is repeated', async () => {
      await settled({ apart: true })
      const restore = await backup(store, ofStore)
      await append(100)
      await atRest()
      await restore()
      await append(10)
      await atRest()
      expect((await status()).map(({ state }) => state)).toEqual(['running', 'running'])
    })

    it('and emptied, is overtaken by the progress of handlers, and the log says so', async () => {
      await settled({ apart: true })
      await empty(store, ofStore)
      await append(10)
      await atRest()
      expect(worker.log.lines.join('\n')).toContain('the offset store does not know the partition any more')
      expect((await status()).map(({ state }) => state)).toEqual(['running', 'running'])
    })

    it('to before a reset, is overtaken by the progress of handlers, of the newer replay', async () => {
      await settled({ apart: true })
      const restore = await backup(store, ofStore)
      await rowsOf(handlers.connectionString, 'truncate effects')
      await applyReset(config, await planReset(config, { group, to: 'first' }))
      await atRest()
      await restore()
      await append(10)
      await atRest()
    })
  })

  describe('of both', () => {
    it('is gone on from where it is, whatever Temporal knows', async () => {
      await settled({ apart: false })
      const restore = await backup(handlers, [...ofHandlers, ...ofStore])
      await append(100)
      await atRest()
      await restore()
      await append(10)
      await atRest()
      expect((await status()).map(({ state }) => state)).toEqual(['running', 'running'])
    })

    it('in the middle of a batch, is gone on from where it is', async () => {
      await settled({ apart: false })
      const restore = await backup(handlers, [...ofHandlers, ...ofStore])
      await append(5_000)
      await waitFor(async () => (await effects()).length > 100, { what: 'a batch under way' })
      await restore()
      await once()
    })

    it('and emptied, stops and asks, since Temporal remembers more', async () => {
      await settled({ apart: false })
      await empty(handlers, [...ofHandlers, ...ofStore])
      await append(10)
      expect(await stopped()).toContain("neither the offset store nor the handlers' database knows it any more")
      expect(await effects()).toEqual([])
      await startOver()
    })
  })
})
