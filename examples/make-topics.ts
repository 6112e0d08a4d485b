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

async function led(admin: Admin, names: readonly string[], numPartitions: number): Promise<boolean> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [...names] }).catch(() => ({ topics: [] }))
  const ready = topics.filter(
    ({ partitions }) => partitions.length === numPartitions && partitions.every(({ leader }) => leader >= 0),
  )
  return ready.length === names.length
}
