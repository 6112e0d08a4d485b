import type { Message, SourceClient } from '../../src/ports/index.js'
import { readTo } from './kafka-ground.js'
import { waitFor } from './wait-for.js'

/** Every message of a topic that readers of committed data see now, partition by partition. */
export async function readAll<V>(client: SourceClient<V>, topic: string): Promise<Message<V>[]> {
  const all: Message<V>[] = []
  for (const [partition, { first: from, head: end }] of await client.bounds(await client.partitions())) {
    const key = { group: 'readers', stream: topic, partition }
    const { messages } = await readTo(client, topic, { key, from, end })
    for (const message of messages) all.push(message)
  }
  return all
}

/** The same once `count` messages are there: a transaction is committed when its coordinator says so, and its markers come after that. */
export function readCommitted<V>(client: SourceClient<V>, topic: string, count: number): Promise<Message<V>[]> {
  const there = async () => {
    const all = await readAll(client, topic)
    return all.length >= count && all
  }
  return waitFor(there, { what: `${count} committed messages in ${topic}` })
}
