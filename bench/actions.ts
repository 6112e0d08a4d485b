import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, Connection } from '@temporalio/client'
import type { SliceMemo } from '../src/model/commands.js'
import { type ActionCounts, countedBetween, exceptHeartbeats, fetchActionCounts } from './action-counts.js'
import type { Bench } from './bench.js'
import type { Child } from './child.js'
import { sliceIds } from './history.js'
import type { Job } from './job.js'
import { computedActions, perBusySlice, type Situation, situations } from './situations.js'
import { Traffic } from './traffic.js'

/** A group that is not at rest after so long never will be, ms. */
const patience = 180_000
/** Traffic before it counts, ms: longer than a batch, so that the start of the group is over. */
const warmUpMs = 45_000
/** The server's counters lag behind what it does, by more on a busy machine. What led to rest is not to be counted as rest, ms. */
const countersStillMs = 5_000

/** What a group costs while nothing else uses Temporal. */
export interface ActionLine {
  readonly situation: Situation['name']
  readonly partitions: number
  readonly slices: number
  readonly messagesPerSecond: number
  readonly minutes: number
  readonly actionsPerMinute: number
  /** By `tidemark cost`: at rest, or busy in all slices. */
  readonly computedPerMinute: number
  /** Of `busy-slices`: what each busy slice adds, by the difference to `busy-slice`, and by `tidemark cost`. */
  readonly perSlice?: number
  readonly computedPerSlice?: number
  readonly byKind: ActionCounts
  /** CPU time of the worker's process by time: 1 is one core. */
  readonly cpuShare: number
  /** Memory of the worker's process at the end. */
  readonly rssMb: number
}

/** Counts the situations one after the other, and hands on each line when it is known: all of them take half an hour. */
export async function countActions(bench: Bench, minutes: number, tell: (line: ActionLine) => void): Promise<void> {
  let one: ActionLine | undefined
  for (const situation of situations) {
    bench.say(`${situation.name} with ${situation.partitions} partitions`)
    const line = await measureActions(bench, situation, minutes)
    if (situation.name === 'busy-slice') one = line
    if (situation.name !== 'busy-slices' || !one) tell(line)
    else {
      const computedPerSlice = round(computedActions(situation).perSlice)
      tell({ ...line, perSlice: round(perBusySlice(one, line)), computedPerSlice })
    }
  }
}

/** Runs a group with a worker of its own, and counts its billable actions for so many minutes. */
async function measureActions(bench: Bench, situation: Situation, minutes: number): Promise<ActionLine> {
  const { partitions, messagesPerSecond, settings } = situation
  const topic = { name: `bench-actions-${randomBytes(4).toString('hex')}`, partitions }
  await bench.log.create(topic.name, partitions)
  const measured = async (child: Child, job: Job) => {
    await child.go()
    const traffic = new Traffic(bench.log, topic, messagesPerSecond)
    try {
      if (messagesPerSecond > 0) await traffic.lasts(warmUpMs)
      else {
        await atRest(bench, job)
        await countersStill(bench)
      }
      const usage = await usageDuring(bench, child, () => traffic.lasts(minutes * 60_000))
      const { slices, perMinute } = computedActions(situation)
      const group = { situation: situation.name, partitions, slices, messagesPerSecond }
      return { ...group, ...usage, computedPerMinute: round(perMinute) }
    } finally {
      await traffic.stop()
    }
  }
  return bench.contend(
    'tidemark',
    topic,
    async (child, job) => {
      const line = await measured(child, job)
      // Ends the workflows, too: the next group is to be alone.
      await child.stop()
      return line
    },
    settings,
  )
}

type Usage = Pick<ActionLine, 'minutes' | 'actionsPerMinute' | 'byKind' | 'cpuShare' | 'rssMb'>

async function usageDuring(bench: Bench, child: Child, wait: () => Promise<void>): Promise<Usage> {
  const [before, countsBefore, began] = [await child.look(), await countsOf(bench), performance.now()]
  await wait()
  const minutes = (performance.now() - began) / 60_000
  const byKind = countedBetween(countsBefore, await countsOf(bench))
  const after = await child.look()
  return {
    minutes: round(minutes),
    actionsPerMinute: round(Object.values(byKind).reduce((sum, count) => sum + count, 0) / minutes),
    byKind,
    cpuShare: Number(((after.cpuSeconds - before.cpuSeconds) / (minutes * 60)).toFixed(4)),
    rssMb: Math.round(after.rssMb),
  }
}

function countsOf({ temporal: { metricsUrl, namespace } }: Bench): Promise<ActionCounts> {
  if (metricsUrl === null) throw new Error('this Temporal server shows no metrics')
  return fetchActionCounts(metricsUrl, namespace)
}

/** Resolves when the server has counted nothing but heartbeats for a while. */
async function countersStill(bench: Bench): Promise<void> {
  const [deadline, read] = [Date.now() + patience, async () => exceptHeartbeats(await countsOf(bench))]
  let [last, since] = [await read(), Date.now()]
  while (Date.now() - since < countersStillMs) {
    if (Date.now() > deadline) throw new Error('the group does not stay at rest')
    await delay(1_000)
    const now = await read()
    if (now !== last) [last, since] = [now, Date.now()]
  }
}

/** Resolves when every partition of a group waits for messages and nothing is under way. */
async function atRest({ temporal: { address, namespace } }: Bench, job: Job): Promise<void> {
  const connection = await Connection.connect({ address })
  try {
    const client = new Client({ connection, namespace })
    const ids = sliceIds(job)
    const deadline = Date.now() + patience
    for (;;) {
      const resting = await Promise.all(ids.map((id) => restingPartitions(client, id)))
      const all = resting.reduce((sum, one) => sum + one, 0)
      if (all === job.partitions) break
      if (Date.now() > deadline) throw new Error(`only ${all} of ${job.partitions} partitions came to rest`)
      await delay(1_000)
    }
  } finally {
    await connection.close()
  }
}

/** How many partitions of a slice wait for messages; 0 while it has an activity, or has not started. */
async function restingPartitions(client: Client, sliceId: string): Promise<number> {
  try {
    // Asking this is no billable action.
    const { memo, raw } = await client.workflow.getHandle(sliceId).describe()
    const { rest } = (memo ?? {}) as SliceMemo
    return (raw.pendingActivities ?? []).length > 0 ? 0 : Object.keys(rest?.partitions ?? {}).length
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return 0
    throw error
  }
}

function round(value: number): number {
  return Number(value.toFixed(2))
}
