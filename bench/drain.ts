import { setTimeout as delay } from 'node:timers/promises'
import type { Bench, Run, Topic } from './bench.js'
import type { ContenderName } from './job.js'

/** How often the table is looked at, ms. Its exact end comes from the rows themselves, so this may be coarse. */
const lookEvery = 100
/** A drain that writes nothing for so long has ended: what is missing is lost, ms. */
const patience = 30_000

/**
 * Lets a contender empty a topic of `messages`. The time runs from the order to go, so it includes what a group does before its first
 * message: joining it in Kafka, or starting its workflows and taking ownership of its partitions.
 */
export function drain(bench: Bench, contender: ContenderName, topic: Topic, messages: number): Promise<Run> {
  const { effects } = bench
  const { partitions } = topic
  return bench.contend(contender, topic, async (child, { table }) => {
    const began = Date.now()
    await child.go()
    await emptied(bench, table, messages)
    const usage = await child.stop()
    const seconds = ((await effects.lastAt(table)) - began) / 1000
    const tally = await effects.tally(table, messages)
    const msgsPerSecond = (messages - tally.lost) / seconds
    const figures = { msgsPerSecond, p50Ms: null, p99Ms: null, maxMs: null }
    return { partitions, messages, handled: messages, ...figures, ...tally, ...usage }
  })
}

/**
 * Resolves when the table has `messages` rows, or has stopped growing short of them. Counts them only while it does not grow:
 * counting takes time from the contender.
 */
async function emptied({ effects }: Bench, table: string, messages: number): Promise<void> {
  let [bytes, rows, grewAt] = [0, 0, performance.now()]
  while (rows < messages && performance.now() - grewAt < patience) {
    await delay(lookEvery)
    const now = await effects.bytes(table)
    if (now !== bytes) grewAt = performance.now()
    else if (now > 0) rows = await effects.count(table)
    bytes = now
  }
  if (rows === 0) throw new Error(`no effect of ${messages} messages within ${patience / 1000} s`)
}
