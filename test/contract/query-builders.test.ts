import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import knex from 'knex'
import { Kysely, sql as kyselySql, PostgresDialect, type PostgresPoolClient } from 'kysely'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { DataSource } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { saveWithDrizzle } from '../../examples/query-builders/drizzle.js'
import { saveWithKnex } from '../../examples/query-builders/knex.js'
import { saveWithKysely } from '../../examples/query-builders/kysely.js'
import type { Order } from '../../examples/query-builders/order.js'
import { orders, saveWithTypeOrm } from '../../examples/query-builders/typeorm.js'
import { postgresDatabase } from '../../src/entry/postgres.js'
import type { TransactionalHandler } from '../../src/handlers/handler.js'
import type { DatabaseClient, Message, Transaction } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { silentLog } from '../support/silent-log.js'

const token = { epoch: 1, batch: 1, attempt: 1 }
const key = { group: 'payments', stream: 'orders', partition: 0 }

/** What an ORM does with a transaction of its own that fails and is caught, and with one that succeeds. */
interface Library {
  readonly handler: () => TransactionalHandler<Order>
  /** Inserts an order in a transaction of the library; rejects, inside of it, for an id below zero. */
  nested(client: pg.ClientBase, order: Order): Promise<unknown>
  /** Reads ids row by row, if the library can. */
  stream?(client: pg.ClientBase): AsyncIterable<{ id: number }>
}

describeWith(['postgres'], "query builders and ORMs on a handler's transaction", () => {
  let drop: () => Promise<void>
  let pool: pg.Pool
  let database: DatabaseClient
  let dataSource: DataSource

  beforeAll(async () => {
    const fresh = await freshDatabase()
    drop = fresh.drop
    const { connectionString } = fresh
    pool = poolOf(connectionString, { max: 1 })
    await pool.query('create table public.orders (id int primary key, customer text, amount int)')
    const signal = new AbortController().signal
    database = await postgresDatabase({ connectionString, poolSize: 1 }).connect({ log: silentLog(), signal })
    await claimFrom(database.progress, key, token, { from: 0n, replay: 0 })
    dataSource = await new DataSource({
      type: 'postgres',
      url: connectionString,
      entities: [orders],
      schema: 'public',
    }).initialize()
  })
  afterAll(async () => {
    await dataSource?.destroy()
    await database?.close()
    await pool?.end()
    await drop?.()
  })
  beforeEach(async () => {
    await pool.query('delete from public.orders')
  })

  const order = (id: number): Order => ({ id, customer: `c${id}`, amount: 100 * id })
  const check = (id: number) => {
    if (id < 0) throw new Error('no such order')
  }
  const kysely = (client: pg.ClientBase) => {
    const connections = { connect: async () => client as unknown as PostgresPoolClient, end: async () => {} }
    return new Kysely<{ orders: Order }>({ dialect: new PostgresDialect({ pool: connections, cursor: Cursor }) })
  }
  const db = knex({ client: 'pg', connection: {}, pool: { min: 0 } })

  const libraries: Record<string, Library> = {
    drizzle: {
      handler: () => saveWithDrizzle,
      nested: (client, { id, customer, amount }) =>
        drizzle(client as pg.Client).transaction(async (inner) => {
          await inner.execute(drizzleSql`insert into orders values (${id}, ${customer}, ${amount})`)
          check(id)
        }),
    },
    kysely: {
      handler: () => saveWithKysely,
      nested: (client, row) =>
        kysely(client)
          .transaction()
          .execute(async (inner) => {
            await inner.insertInto('orders').values(row).execute()
            await kyselySql`select 1`.execute(inner)
            check(row.id)
          }),
      stream: (client) => kysely(client).selectFrom('orders').select('id').orderBy('id').stream(1),
    },
    knex: {
      handler: () => saveWithKnex,
      nested: (client, row) =>
        db.transaction(
          async (inner) => {
            await inner('orders').insert(row)
            check(row.id)
          },
          { connection: client },
        ),
      stream: (client) => db('orders').select('id').orderBy('id').connection(client).stream(),
    },
    typeorm: {
      handler: () => saveWithTypeOrm(dataSource),
      nested: (client, row) => {
        const runner = Object.assign(dataSource.createQueryRunner(), { databaseConnection: client })
        return runner.manager.transaction(async (inner) => {
          await inner.insert(orders, row)
          check(row.id)
        })
      },
    },
  }

  const chunk = async (work: (tx: Transaction) => Promise<unknown>) => {
    const from = (await database.progress.read(key))!.position
    await database.progress.transact(key, token, from, from + 1n, async (tx) => void (await work(tx)))
  }
  const ids = async () =>
    (await pool.query('select id from public.orders order by id')).rows.map(({ id }) => id as number)

  describe.each(Object.entries(libraries))('%s', (_name, { handler, nested, stream }) => {
    const save = (tx: Transaction, ...some: Order[]) => {
      const messages = some.map((value) => ({ value })) as unknown as Message<Order>[]
      return Promise.resolve(handler().handle(messages, { tx } as never))
    }

    it('writes with the chunk, and not without it', async () => {
      await expect(
        chunk(async (tx) => {
          await save(tx, order(1), order(2))
          await nested(tx.client as pg.ClientBase, order(3))
          throw new Error('later')
        }),
      ).rejects.toThrow('later')
      expect(await ids()).toEqual([])
      await chunk((tx) => save(tx, order(1), order(2)))
      expect(await ids()).toEqual([1, 2])
    })

    it('has transactions of its own inside of the chunk: one that fails takes back its own part', async () => {
      await chunk(async (tx) => {
        const client = tx.client as pg.ClientBase
        await save(tx, order(1))
        await nested(client, order(2))
        await expect(nested(client, order(-1))).rejects.toThrow('no such order')
        await save(tx, order(3))
      })
      expect(await ids()).toEqual([1, 2, 3])
    })

    if (stream)
      it('reads row by row', async () => {
        await chunk(async (tx) => {
          await save(tx, order(1), order(2), order(3))
          const read: number[] = []
          for await (const { id } of stream(tx.client as pg.ClientBase)) read.push(id)
          expect(read).toEqual([1, 2, 3])
          await save(tx, order(4))
        })
        expect(await ids()).toEqual([1, 2, 3, 4])
      })
  })
})
