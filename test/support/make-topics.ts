import type { Admin, ITopicConfig } from 'kafkajs'
import { waitFor } from './wait-for.js'

/**
 * Makes topics, and waits until each of their partitions has a leader. kafkajs, told to wait itself, gives up where a busy broker does not
 * know a topic yet.
 */
export async function makeTopics(admin: Admin, topics: readonly ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics: [...topics], waitForLeaders: false })
  await led(admin, topics)
}

/**
 * Waits until each partition of the topics has a leader that answers. One that is named may not have taken over yet; kafkajs writes all of a
 * request again where it refuses a part of it.
 */
export async function led(admin: Admin, topics: readonly ITopicConfig[]): Promise<void> {
  const names = topics.map(({ topic }) => topic)
  const all = async () => {
    const ends = await Promise.all(names.map((name) => admin.fetchTopicOffsets(name)))
    return topics.every(({ numPartitions = 1 }, index) => ends[index]!.length >= numPartitions)
  }
  await waitFor(all, { timeout: 60_000, what: `leaders for ${names.join(', ')}` })
}
