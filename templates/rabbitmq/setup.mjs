// node setup.mjs: makes the super stream and the table, and sends 1,000 orders. Each run sends 1,000 more.
import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { connect } from 'rabbitmq-stream-js-client'

const {
  RABBITMQ_URL = 'rabbitmq-stream://app:app@127.0.0.1:5552',
  DATABASE_URL = 'postgres://app:app@127.0.0.1:5432/app',
} = process.env

const database = new pg.Client(DATABASE_URL)
await database.connect()
await database.query(await readFile('schema.sql', 'utf8'))
await database.end()

const { hostname, port, username, password } = new URL(RABBITMQ_URL.replace(/^rabbitmq-stream/, 'http'))
const login = { username: decodeURIComponent(username), password: decodeURIComponent(password) }
const client = await connect({ hostname, port: Number(port), ...login, vhost: '/', heartbeat: 0 })
await client.createSuperStream({ streamName: 'orders' }, undefined, 4).catch((error) => {
  if (!/exist/i.test(error.message)) throw error
})
const publisher = await client.declareSuperStreamPublisher({ superStream: 'orders' }, (_, { messageProperties }) =>
  String(messageProperties?.messageId),
)
const now = Date.now()
for (let n = 0; n < 1000; n++)
  await publisher.send(Buffer.from(JSON.stringify({ id: `order-${now}-${n}`, amount: n })), {
    messageProperties: { messageId: `customer-${n % 50}` },
  })
await publisher.close()
await client.close()
console.log('sent 1,000 orders')
