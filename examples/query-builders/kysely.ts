import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely'
import Cursor from 'pg-cursor'
import { transactional } from 'tidemark'
import type { Order } from './order.js'

interface Tables {
  orders: Order
}

export const saveWithKysely = transactional<Order>(async (messages, { tx }) => {
  // A pool with one client, which stays the chunk's. The cursor is for .stream() only.
  const pool = { connect: async () => tx.client as PostgresPoolClient, end: async () => {} }
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) })
  await db
    .insertInto('orders')
    .values(messages.map(({ value }) => value!))
    .execute()
})
