import { setTimeout as delay } from 'node:timers/promises'
import type { Bench, Run, Topic } from './bench.js'
import type { ContenderName } from './job.js'
import { latencyFigures } from './statistics.js'

const perSecond = 20
/** The same traffic before it counts, from the first effect on: connections, caches and compilers settle. */
const warmUpSeconds = 5
/** A message without effect after so long is lost, ms. */
const patience = 30_000

/** Sends single messages at an even pace for so many seconds, and measures the time from sending to the effect. */
export async function latency(bench: Bench, contender: ContenderName, topic: Topic, seconds: number): Promise<Run> {
  const { effects, log } = bench
  const { name, partitions } = topic
  await log.create(name, partitions)
  return bench.contend(contender, topic, async (child, { table }) => {
    await child.go()
    let sent = 0
    const pace = async (count: number) => {
      const began = performance.now()
      const sending: Promise<void>[] = []
      for (let index = 0; index < count; index++) {
        // By the clock, not after the last answer: a slow moment must not thin out the traffic that would show it.
        await delay(Math.max(0, began + (index * 1000) / perSecond - performance.now()))
        sending.push(log.send(name, sent % partitions, sent))
        sent++
      }
      await Promise.all(sending)
    }
    await pace(1)
    await handled(bench, table, sent)
    await pace(perSecond * warmUpSeconds)
    await handled(bench, table, sent)

    const since = Date.now()
    await pace(perSecond * seconds)
    await handled(bench, table, sent)
    const usage = await child.stop()
    const times = await effects.latencies(table, since)
    const figures = { msgsPerSecond: perSecond, ...latencyFigures(times) }
    const tally = await effects.tally(table, sent)
    return { partitions, messages: perSecond * seconds, handled: sent, ...figures, ...tally, ...usage }
  })
}

/** Resolves when the table has `messages` rows, or when waiting longer is pointless: the tally tells what is lost. */
async function handled({ effects }: Bench, table: string, messages: number): Promise<void> {
  const deadline = performance.now() + patience
  while ((await effects.count(table)) < messages && performance.now() < deadline) await delay(20)
}
