import { groupActions } from '../src/client/cost.js'
import { parseConfig } from '../src/config/parse.js'
import { consumer, defineConfig } from '../src/entry/index.js'
import { kafka } from '../src/entry/kafka.js'
import { postgresStore } from '../src/entry/postgres.js'
import type { Job } from './job.js'

/** A group whose billable actions are counted. */
export interface Situation {
  readonly name: 'rest' | 'busy-slice' | 'busy-slices' | 'spread'
  readonly partitions: number
  /** Spread evenly over the partitions; 0: the group is at rest. */
  readonly messagesPerSecond: number
  readonly settings: NonNullable<Job['settings']>
}

/** Only the way to rest is made shorter: nothing follows it once a group is at rest. */
const soonAtRest = { batch: { restAfter: '2s' } }

export const situations: readonly Situation[] = [
  { name: 'rest', partitions: 12, messagesPerSecond: 0, settings: soonAtRest },
  { name: 'rest', partitions: 256, messagesPerSecond: 0, settings: soonAtRest },
  { name: 'rest', partitions: 1_024, messagesPerSecond: 0, settings: soonAtRest },
  { name: 'busy-slice', partitions: 12, messagesPerSecond: 10, settings: { slices: 1 } },
  // The same traffic for each slice: what it has more than one busy slice is what slices add to a group.
  { name: 'busy-slices', partitions: 36, messagesPerSecond: 30, settings: { slices: 3 } },
  { name: 'spread', partitions: 256, messagesPerSecond: 1, settings: {} },
]

/** Actions of a group with so many busy slices, per minute. */
interface BusyGroup {
  readonly slices: number
  readonly actionsPerMinute: number
}

/** What one more busy slice adds to a group, per minute: the group's own actions, in both measurements, cancel out. */
export function perBusySlice(fewer: BusyGroup, more: BusyGroup): number {
  return (more.actionsPerMinute - fewer.actionsPerMinute) / (more.slices - fewer.slices)
}

/** What `tidemark cost` says of such a group: at rest, or busy in all of its slices. */
export function computedActions({ partitions, messagesPerSecond, settings }: Situation): {
  readonly slices: number
  readonly perMinute: number
  /** What one busy slice adds, per minute. */
  readonly perSlice: number
} {
  const source = kafka({ brokers: ['127.0.0.1:9092'], topic: 'any' })
  const store = postgresStore({ connectionString: 'postgresql://127.0.0.1/any' })
  const consumers = [consumer({ group: 'any', source, handler: async () => {}, ...settings })]
  const [parsed] = parseConfig(defineConfig({ store, consumers })).consumers
  const { slices, restPerMinute, busyPerMinute, busySlicePerMinute } = groupActions(parsed!.settings, partitions)
  const perMinute = messagesPerSecond === 0 ? restPerMinute : busyPerMinute
  return { slices, perMinute, perSlice: busySlicePerMinute }
}
