import { setTimeout as delay } from 'node:timers/promises'
import type { Admin } from 'kafkajs'

const withinMs = 30_000

/**
 * Makes topics, and waits until each of their partitions has a leader. kafkajs, told to wait itself, gives up where a busy broker does not
 * know a topic yet.
 */
export async function makeTopics(admin: Admin, names: readonly string[], numPartitions: number): Promise<void> {
  await admin.createTopics({ topics: names.map((topic) => ({ topic, numPartitions })), waitForLeaders: false })
  const deadline = Date.now() + withinMs
  while (!(await led(admin, names, numPartitions))) {
    if (Date.now() > deadline) throw new Error(`${names.join(', ')}: not every partition has a leader yet`)
    await delay(100)
  }
}

/** A leader that is named may not have taken over yet; one that knows where its partition ends has. */
async function led(admin: Admin, names: readonly string[], numPartitions: number): Promise<boolean> {
  try {
    const ends = await Promise.all(names.map((name) => admin.fetchTopicOffsets(name)))
    return ends.every(({ length }) => length === numPartitions)
  } catch {
    return false
  }
}
