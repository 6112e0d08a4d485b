import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import type pg from 'pg'
import { transactional } from 'tidemark'
import type { Order } from './order.js'

const orders = pgTable('orders', { id: integer(), customer: text(), amount: integer() })

export const saveWithDrizzle = transactional<Order>(async (messages, { tx }) => {
  const db = drizzle(tx.client as pg.ClientBase as pg.Client)
  await db.insert(orders).values(messages.map(({ value }) => value!))
})
