/*
 * Publishes a wave of 100 messages, the last of them the marker, and waits until the broker has confirmed them all.
 *
 *   node --import tsx --conditions=tidemark-source examples/rabbitmq-offset-tracking/send.ts
 */
import { connect } from 'rabbitmq-stream-js-client'
import { marker, stream, url } from './places.js'

const count = 100

async function main(): Promise<void> {
  const { hostname, port, username, password, pathname } = new URL(url)
  const client = await connect({
    hostname,
    port: Number(port || 5552),
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    vhost: decodeURIComponent(pathname.slice(1)) || '/',
  })
  await client.createStream({ stream, arguments: { 'max-length-bytes': 1_000_000_000 } })
  const publisher = await client.declarePublisher({ stream })
  const confirmed = new Promise<void>((resolve, reject) => {
    let open = count
    publisher.on('publish_confirm', (error, ids) => {
      if (error) reject(new Error(`the broker refused a message, code ${error}`))
      open -= ids.length
      if (open === 0) resolve()
    })
  })
  console.log(`Publishing ${count} messages...`)
  for (let i = 1; i < count; i++) await publisher.send(Buffer.from('hello'))
  await publisher.send(Buffer.from(marker))
  await publisher.flush()
  await confirmed
  console.log('Messages confirmed: true.')
  await client.close()
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(String(error))
    process.exit(1)
  },
)
