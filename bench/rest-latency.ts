import { setTimeout as delay } from 'node:timers/promises'
import { defaultSlices } from '../src/model/partition.js'
import type { Bench, Run, Topic } from './bench.js'
import type { Child } from './child.js'
import type { ContenderName, Job } from './job.js'
import { latencyFigures } from './statistics.js'

/** Slices come to rest soon, so that most messages find theirs at rest. */
const settings: Job['settings'] = { batch: { restAfter: '1s' } }
/** Time from a slice's last effect to its next message, ms: from just before it comes to rest to long after. */
const gapMs = { from: 1_000, to: 8_000 }
/** Messages to each slice before it counts: connections, caches and compilers settle. */
const warmUpRounds = 1
/** How often a message that is under way is looked for, ms. Its exact time comes from its row, so this may be coarse. */
const lookEvery = 25
/** A message without effect after so long is lost, ms. */
const patience = 30_000

/**
 * Sends single messages to partitions at rest, and measures the time from sending to the effect. In each round every slice gets one
 * message, for a partition of its own that chance picks, at a moment of its own.
 */
export async function restLatency(bench: Bench, contender: ContenderName, topic: Topic, rounds: number): Promise<Run> {
  const { effects, log } = bench
  const { name, partitions } = topic
  const slices = Math.min(partitions, defaultSlices(partitions))
  await log.create(name, partitions)
  const measured = async (child: Child, { table }: Job): Promise<Run> => {
    await child.go()
    let sent = 0
    const send = (partition: number) => log.send(name, partition, sent++)
    /** One message after the other for one slice, each some time after the last one's effect. */
    const visit = async (slice: number, rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        const before = await effects.ofSlice(table, slices, slice)
        await delay(Math.max(0, before.lastAt + gap() - Date.now()))
        await send(partitionOf(slice, slices, partitions))
        const deadline = performance.now() + patience
        while ((await effects.ofSlice(table, slices, slice)).messages === before.messages) {
          if (performance.now() > deadline) break
          await delay(lookEvery)
        }
      }
    }
    const visitAll = (rounds: number) => Promise.all(Array.from({ length: slices }, (_, slice) => visit(slice, rounds)))

    // The start of the group is over once every partition has had a message.
    for (let partition = 0; partition < partitions; partition++) await send(partition)
    const deadline = performance.now() + patience
    while ((await effects.count(table)) < partitions && performance.now() < deadline) await delay(lookEvery)
    await visitAll(warmUpRounds)

    const since = Date.now()
    await visitAll(rounds)
    const seconds = (Date.now() - since) / 1_000
    const usage = await child.stop()
    const messages = rounds * slices
    const figures = { msgsPerSecond: messages / seconds, ...latencyFigures(await effects.latencies(table, since)) }
    return { partitions, messages, handled: sent, ...figures, ...(await effects.tally(table, sent)), ...usage }
  }
  return bench.contend(contender, topic, measured, settings)
}

function gap(): number {
  return gapMs.from + Math.random() * (gapMs.to - gapMs.from)
}

/** One of a slice's partitions, which are all p with p mod slices = slice. */
function partitionOf(slice: number, slices: number, partitions: number): number {
  const theirs = Math.ceil((partitions - slice) / slices)
  return slice + slices * Math.floor(Math.random() * theirs)
}
