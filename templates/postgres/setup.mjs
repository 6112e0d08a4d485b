// node setup.mjs: makes the stream and the table, and appends 1,000 orders. Each run appends 1,000 more.
import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { appendEvents, createStream } from 'tidemark/postgres'

const { DATABASE_URL = 'postgres://app:app@127.0.0.1:5432/app' } = process.env

const database = new pg.Client(DATABASE_URL)
await database.connect()
await database.query(await readFile('schema.sql', 'utf8'))

await createStream(DATABASE_URL, { stream: 'orders', partitions: 4 })
const now = Date.now()
const orders = Array.from({ length: 1000 }, (_, n) => ({
  key: `customer-${n % 50}`,
  value: { id: `order-${now}-${n}`, amount: n },
}))
await appendEvents(database, 'orders', orders)
await database.end()
console.log('appended 1,000 orders')
