import type { Message, SourceClient } from '../../src/ports/index.js'
import { readTo } from './kafka-ground.js'

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
