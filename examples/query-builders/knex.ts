import knex from 'knex'
import { transactional } from 'tidemark'
import type { Order } from './order.js'

// It never connects: every query runs on the chunk's own client. Streams need it to have a pool all the same.
const db = knex({ client: 'pg', connection: {}, pool: { min: 0 } })

export const saveWithKnex = transactional<Order>(async (messages, { tx }) => {
  const rows = messages.map(({ value }) => value!)
  await db<Order>('orders').insert(rows).connection(tx.client)
})
