import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import type { FencingToken } from '../../src/model/token.js'
import type { DatabaseClient, OffsetStoreClient } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { waitFor } from '../support/wait-for.js'

const token: FencingToken = { epoch: 4, batch: 1, attempt: 1 }
const newer: FencingToken = { epoch: 5, batch: 1, attempt: 1 }
const start = { from: 7n, replay: 0 }
const keys = Array.from({ length: 64 }, (_, n) => ({
  group: n % 2 ? 'payments' : 'a "b", {c}\\',
  stream: 'orders',
  partition: n,
}))
const key = keys[3]!

describeWith(['postgres'], 'Postgres control statements', () => {
  let fresh: FreshDatabase
  let admin: pg.Client
  let store: OffsetStoreClient
  let database: DatabaseClient

  beforeEach(async () => {
    fresh = await freshDatabase()
    admin = new pg.Client({ connectionString: fresh.connectionString })
    admin.on('error', () => {})
    await admin.connect()
    const context = { log: silentLog(), signal: new AbortController().signal }
    const options = { connectionString: fresh.connectionString, poolSize: 1 }
    store = await postgresStore(options).connect(context)
    database = await postgresDatabase(options).connect(context)
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await store.close()
    await database.close()
    await admin.end()
    await fresh.drop()
  })

  /** How many statements go to the server while `work` runs. */
  async function statementsOf(work: () => Promise<unknown>): Promise<number> {
    const query = vi.spyOn(pg.Client.prototype, 'query')
    try {
      await work()
      return query.mock.calls.length
    } finally {
      query.mockRestore()
    }
  }

  /** Runs `work` for all partitions in one turn. */
  const all = <T>(work: (one: typeof key) => Promise<T>) => Promise.all(keys.map(work))
  const open = () => all((one) => store.open(one, { above: 0, start: 7n }))
  const claim = () => all((one) => claimFrom(database.progress, one, token, start))

  it('have connections of their own before the first of them, and handlers have theirs', async () => {
    const own = { connectionString: fresh.connectionString, poolSize: 3 }
    const apart = await postgresDatabase(own).connect({ log: silentLog(), signal: new AbortController().signal })
    try {
      await apart.progress.prepare!(64)
      const { rows } = await admin.query<{ name: string; n: number }>(
        `select application_name name, count(*)::int n from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() group by 1 order by 1`,
      )
      // One more is of the pools that all tests have.
      expect(rows).toEqual([
        { name: '', n: 3 },
        { name: 'tidemark control', n: 2 + 1 },
      ])
    } finally {
      await apart.close()
    }
  })

  describe('of 64 partitions, asked for in one turn,', () => {
    it('are one to open them, each with its own answer', async () => {
      await store.open(key, { above: 8, start: 100n })
      const opened: unknown[] = []
      const count = await statementsOf(async () => {
        opened.push(...(await open()))
      })
      expect(count).toBe(1)
      const known = { position: 100n, epoch: 10 }
      expect(opened).toMatchObject(keys.map((one) => ({ ...one, position: 7n, epoch: 1, ...(one === key && known) })))
    })

    it('are one to commit them, and a stale one among them fails no other', async () => {
      await open()
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      const outcomes: unknown[] = []
      const commit = () => all((one) => store.commit(one, { epoch: 1, position: 10n + BigInt(one.partition) }))
      const count = await statementsOf(async () => {
        outcomes.push(...(await commit()))
      })
      expect(count).toBe(1)
      const stale = { outcome: 'stale', epoch, position: 7n, replay: 0 }
      expect(outcomes).toEqual(keys.map((one) => (one === key ? stale : { outcome: 'committed' })))
      const positions = (await store.list({})).map(({ partition, position }) => [partition, position] as const)
      expect(new Map(positions)).toEqual(
        new Map(keys.map((one) => [one.partition, one === key ? 7n : 10n + BigInt(one.partition)])),
      )
    })

    it('are two to claim them: the claims, and the end of older sessions; a fenced one fails no other', async () => {
      await all((one) => database.progress.begin(one, { position: 7n, replay: 0, identity: null }))
      await database.progress.claim(key, newer, start)
      let outcomes: PromiseSettledResult<unknown>[] = []
      const count = await statementsOf(async () => {
        outcomes = await Promise.allSettled(keys.map((one) => database.progress.claim(one, token, start)))
      })
      expect(count).toBe(2)
      for (const [n, outcome] of outcomes.entries())
        expect(outcome).toMatchObject(
          keys[n] === key
            ? { reason: { code: 'FENCED', place: key } }
            : { status: 'fulfilled', value: { position: 7n } },
        )
    })

    it('are two to raise their tokens: the tokens, and the end of older sessions', async () => {
      await claim()
      await claimFrom(database.progress, key, { ...newer, attempt: 2 }, start)
      expect(await statementsOf(() => all((one) => database.progress.raise(one, newer)))).toBe(2)
      const read = await all((one) => database.progress.read(one))
      const expected = keys.map((one) => (one === key ? { ...newer, attempt: 2 } : newer))
      expect(read.map((row) => row!.token)).toEqual(expected)
    })

    it('are one to read their progress', async () => {
      await claim()
      let read: unknown[] = []
      const count = await statementsOf(async () => {
        read = await all((one) => database.progress.read({ ...one, stream: one === key ? 'other' : one.stream }))
      })
      expect(count).toBe(1)
      const there = { position: 7n, token, replay: 0, identity: null, witness: null }
      expect(read).toEqual(keys.map((one) => (one === key ? null : there)))
    })

    it('are one to move their progress, and a fenced one, which asks who has it, fails no other', async () => {
      await claim()
      await claimFrom(database.progress, key, newer, start)
      let outcomes: PromiseSettledResult<void>[] = []
      const count = await statementsOf(async () => {
        outcomes = await Promise.allSettled(keys.map((one) => database.progress.advance(one, token, 7n, 9n)))
      })
      expect(count).toBe(2)
      for (const [n, outcome] of outcomes.entries())
        expect(outcome).toMatchObject(keys[n] === key ? { reason: { code: 'FENCED' } } : { status: 'fulfilled' })
      expect((await database.progress.read(keys[0]!))!.position).toBe(9n)
      expect((await database.progress.read(key))!.position).toBe(7n)
    })

    it("are one to read their groups' offsets", async () => {
      await open()
      let read: (readonly { partition: number }[])[] = []
      const count = await statementsOf(async () => {
        read = await all(({ group, stream }) => store.read(group, stream))
      })
      expect(count).toBe(1)
      for (const [n, rows] of read.entries())
        expect(rows.map(({ partition }) => partition)).toEqual(
          keys.filter(({ group }) => group === keys[n]!.group).map(({ partition }) => partition),
        )
    })

    it('are one to note them', async () => {
      const noted = { position: 3n, epoch: 1, replay: 0, identity: 'one' }
      const count = await statementsOf(() => all((one) => database.partitions.note({ ...one, ...noted })))
      expect(count).toBe(1)
      await all((one) => database.partitions.note({ ...one, ...noted, identity: null, epoch: 2 }))
      const rows = (await database.partitions.list({})).map(({ epoch, identity }) => [epoch, identity])
      expect(rows).toEqual(keys.map(() => [2, 'one']))
    })
  })

  it('about one partition in one turn keep their order', async () => {
    await store.open(key, { above: 0, start: 0n })
    const outcomes = await Promise.all([3n, 2n, 5n].map((position) => store.commit(key, { epoch: 1, position })))
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['committed', 'stale', 'committed'])
    expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 5n }])
  })

  it('with values that the database refuses fail nobody else', async () => {
    const tooGreat = { ...key, partition: 2 ** 40 }
    const [refused, ...opened] = await Promise.allSettled(
      [tooGreat, ...keys].map((one) => store.open(one, { above: 0, start: 7n })),
    )
    expect(refused!.status).toBe('rejected')
    expect(opened.map(({ status }) => status)).toEqual(keys.map(() => 'fulfilled'))
  })

  it('a commit that waited for a change of the row sees what became of it', async () => {
    await open()
    await admin.query('begin')
    const change = `select tidemark.change_offset($1, $2, $3, 'reset', 2, 'ann', 'test', null, 0, null, null, null)`
    await admin.query(change, [key.group, key.stream, key.partition])
    const outcomes = all((one) => store.commit(one, { epoch: 1, position: 10n }))
    const observer = new pg.Client({ connectionString: fresh.connectionString })
    await observer.connect()
    const waits = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    await waitFor(async () => (await observer.query(waits)).rowCount, { what: 'the commit to wait' })
    await observer.end()
    await admin.query('commit')
    const stale = { outcome: 'stale', epoch: 2, position: 2n, replay: 1 }
    expect(await outcomes).toEqual(keys.map((one) => (one === key ? stale : { outcome: 'committed' })))
  })

  it('of many workers that ask for the same partitions in different orders never fail', async () => {
    const context = { log: silentLog(), signal: new AbortController().signal }
    const clients = await Promise.all(
      [1, 2, 3, 4].map((n) => {
        const own = `${fresh.connectionString}?application_name=worker-${n}`
        return postgresStore({ connectionString: own }).connect(context)
      }),
    )
    try {
      for (let round = 0; round < 10; round++)
        await Promise.all(
          clients.flatMap((client, n) => {
            const order = n % 2 ? keys : keys.toReversed()
            return [
              ...order.map((one) => client.open(one, { above: 0, start: 0n })),
              ...order.map((one) => client.commit(one, { epoch: round, position: BigInt(round) })),
            ]
          }),
        )
      expect((await store.list({})).map(({ epoch }) => epoch)).toEqual(keys.map(() => 40))
    } finally {
      await Promise.all(clients.map((client) => client.close()))
    }
  })

  it('are answered while a handler holds the only connection of its pool', async () => {
    const { progress } = database
    await claimFrom(progress, key, token, start)
    let goOn = () => {}
    const hanging = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let working = () => {}
    const works = new Promise<void>((resolve) => {
      working = resolve
    })
    const handler = progress.transact(key, token, 7n, 8n, async (tx) => {
      await tx.query('select 1')
      working()
      await hanging
    })
    await works
    const other = { ...key, partition: 99 }
    const { epoch } = await store.open(other, { above: 0, start: 7n })
    expect(await store.commit(other, { epoch, position: 9n })).toEqual({ outcome: 'committed' })
    expect(await store.read(other.group, other.stream)).toMatchObject([{ partition: 99, position: 9n }])
    expect(await claimFrom(progress, other, token, start)).toBe(7n)
    await progress.advance(other, token, 7n, 8n)
    expect(await progress.read(other)).toMatchObject({ position: 8n })
    expect(await database.groups.list({})).toEqual([])
    const names = `select distinct application_name as name from pg_stat_activity
      where datname = current_database() and application_name like '% control'`
    expect((await admin.query(names)).rows).toEqual([{ name: 'tidemark control' }])
    goOn()
    await handler
  })
})
