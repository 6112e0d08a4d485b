import { Context } from '@temporalio/activity'
import type { WorkflowHandle } from '@temporalio/client'
import type { BatchInput } from '../../src/model/batch.js'
import { type GroupStatus, names, type PartitionStatus, type SliceStatus } from '../../src/model/commands.js'
import { waitFor } from '../support/wait-for.js'
import {
  type Activities,
  handled,
  memoryRecord,
  opened,
  revisionOn,
  untilCancelled,
  worked,
} from '../support/workflow-env.js'

/**
 * A life of a workflow that is worth remembering. Its history is recorded once, committed, and replayed by every later version of
 * the workflows: a change that running workflows can't live with fails here, and not in production.
 */
export interface Scenario {
  readonly workflow: 'slice' | 'group'
  /** The partitions that a slice owns; [0] unless told. */
  readonly partitions?: readonly number[]
  /** Begins as a bounded run. */
  readonly until?: 'message'
  readonly activities: () => Partial<Activities>
  readonly live: (handle: WorkflowHandle, queue: string) => Promise<void>
}

async function partition(handle: WorkflowHandle, index: number): Promise<PartitionStatus> {
  const { partitions } = await handle.query<SliceStatus>(names.status)
  return partitions.find((one) => one.partition === index)!
}
const until = (handle: WorkflowHandle, index: number, what: string, looks: (one: PartitionStatus) => boolean) =>
  waitFor(async () => looks(await partition(handle, index)), { what: `partition ${index}: ${what}` })
const committedTo = (handle: WorkflowHandle, index: number, position: string) =>
  until(handle, index, `commit of ${position}`, ({ progress }) => progress?.committed === position)

const anna = { by: 'anna@desk', since: '2026-01-02T00:00:00.000Z' }
const calmBatch = (input: BatchInput) => handled(input, 0, { end: 'rest' })

export const scenarios: Record<string, Scenario> = {
  'slice-batches-rest-and-wake': {
    workflow: 'slice',
    partitions: [0, 16, 32],
    activities: () => ({
      process: async (input) => {
        const [first] = input.partitions
        const rests = Number(first!.from) % 30 === 20
        return handled(input, 10, rests ? { end: 'rest' } : {})
      },
    }),
    live: async (handle) => {
      await committedTo(handle, 32, '30')
      await handle.signal(names.wake)
      await committedTo(handle, 32, '60')
    },
  },
  'slice-paused-and-resumed': {
    workflow: 'slice',
    partitions: [0, 16],
    activities: () => ({
      process: async (input) => {
        if (input.partitions[0]!.batch > 2) return calmBatch(input)
        await untilCancelled()
        return handled(input, 5, { end: 'released' })
      },
    }),
    live: async (handle) => {
      const shared = (batch: number) => (one: PartitionStatus) => one.place === 'slice' && one.progress?.batch === batch
      await until(handle, 16, 'a batch', shared(1))
      // One of two: it leaves the batch under way, and comes back in a late one.
      await handle.signal(names.pause, { partitions: [16], note: { ...anna, reason: 'look at it' } })
      const left = { partition: 16, epoch: 1, batch: 1, to: '3', messages: 3, head: '9', end: 'released' as const }
      await handle.signal(names.leave, [left])
      await committedTo(handle, 16, '3')
      await handle.signal(names.resume, { partitions: [16] })
      await until(handle, 16, 'a late batch', shared(2))
      // All of them.
      await handle.signal(names.pause, { note: { ...anna, reason: 'bad deploy' } })
      await committedTo(handle, 0, '5')
      await committedTo(handle, 16, '8')
      await handle.signal(names.resume, {})
      await until(handle, 0, 'more batches', ({ progress }) => progress!.batch > 1)
    },
  },
  'slice-troubled-apart-and-healthy': {
    workflow: 'slice',
    partitions: [0, 16, 32],
    activities: () => ({
      process: async (input) => {
        const batches = input.partitions.map((one) => {
          if (one.from === '0' && one.partition === 16)
            return worked(one, 2, { end: 'failed', reason: 'orders[16] offset 2: the handler failed' })
          if (one.from === '0' && one.partition === 32) return worked(one, 3, { end: 'slow', reason: 'a call of 40 s' })
          return worked(one, 1, Number(one.from) > 10 ? { end: 'rest' } : {})
        })
        return { partitions: batches }
      },
    }),
    live: async (handle) => {
      for (const index of [0, 16, 32]) await committedTo(handle, index, '12')
      await until(handle, 16, 'to be healthy', ({ condition }) => condition === 'healthy')
    },
  },
  'slice-retried-as-a-whole-and-held': {
    workflow: 'slice',
    partitions: [0, 16],
    activities: () => ({
      process: async (input) => {
        if (input.partitions[0]!.from !== '0') return calmBatch(input)
        await untilCancelled()
        return handled(input, 5, { end: 'released' })
      },
    }),
    live: async (handle) => {
      const ofBatch = 'shared/0/1/1'
      const running = async () => (await handle.describe()).raw.pendingActivities?.[0]?.activityId === ofBatch
      await waitFor(running, { what: 'the batch' })
      await handle.signal(names.trouble, { [ofBatch]: { state: 'retrying', reason: 'the database is away' } })
      await handle.signal(names.trouble, { [ofBatch]: { state: 'held', reason: 'by ada in Temporal' } })
      await handle.signal(names.pause, { note: { ...anna, reason: 'look at it' } })
      await committedTo(handle, 0, '5')
      await handle.signal(names.resume, {})
      await until(handle, 0, 'to rest', ({ place, progress }) => place === 'none' && progress?.batch === 2)
    },
  },
  'slice-blocked-fenced-and-fixed': {
    workflow: 'slice',
    activities: () => {
      let tries = 0
      return {
        open: async (input) => opened(input, input.partitions[0]!.above === 0 ? '0' : '5'),
        process: async (input) => {
          tries++
          if (tries === 1) return handled(input, 5, { end: 'blocked', reason: 'orders[0] offset 5 is not JSON' })
          if (tries === 2) return handled(input, 0, { end: 'fenced', reason: 'orders[0] has a newer owner' })
          return input.partitions[0]!.from === '5' ? handled(input, 5) : calmBatch(input)
        },
      }
    },
    live: async (handle, queue) => {
      await until(handle, 0, 'the block', ({ condition }) => condition === 'blocked')
      await committedTo(handle, 0, '5')
      await handle.signal(names.configure, revisionOn(queue))
      await until(handle, 0, 'the fence', ({ condition }) => condition === 'fenced')
      await handle.signal(names.resume, {})
      await committedTo(handle, 0, '10')
    },
  },
  'slice-cancelled-without-an-answer': {
    workflow: 'slice',
    activities: () => ({
      process: async (input) => {
        if (input.partitions[0]!.batch > 1) return calmBatch(input)
        await untilCancelled()
        // The SDK takes what a cancelled activity throws for its cancellation.
        throw Context.current().cancellationSignal.reason
      },
    }),
    live: async (handle, queue) => {
      await until(handle, 0, 'a batch', ({ progress }) => progress?.batch === 1)
      await handle.signal(names.configure, { ...revisionOn(queue), until: 'message' })
      await until(handle, 0, 'the next batch', ({ progress }) => progress?.batch === 2)
    },
  },
  'slice-reads-to-its-end': {
    workflow: 'slice',
    partitions: [0, 16],
    activities: () => ({
      process: async (input) =>
        input.partitions[0]!.run
          ? handled(input, 5, { end: 'finished' })
          : handled(input, 0, { end: 'blocked', reason: 'no end yet' }),
    }),
    live: async (handle, queue) => {
      await until(handle, 0, 'the block', ({ condition }) => condition === 'blocked')
      await handle.signal(names.configure, { ...revisionOn(queue), until: 'message' })
      for (const index of [0, 16]) await until(handle, index, 'the end', ({ condition }) => condition === 'finished')
      await handle.signal(names.finish)
      await handle.result()
    },
  },
  'group-reads-to-its-end': {
    workflow: 'group',
    until: 'message',
    activities: () => ({
      ...quietPoll(),
      process: async (input) => handled(input, 10, { end: 'finished' }),
    }),
    live: async (handle) => {
      await handle.result()
    },
  },
  'group-grows-pauses-and-is-configured': {
    workflow: 'group',
    activities: () => {
      const partitions = [0, 1]
      let polls = 0
      return {
        ...memoryRecord(partitions, 2),
        poll: async () => {
          polls++
          await new Promise((resolve) => setTimeout(resolve, 200))
          if (polls === 4) partitions.push(2)
          const stopped = polls === 6 ? [{ slice: 1, how: 'terminated' as const }] : []
          return { added: polls === 4 ? [2] : [], missing: polls === 5 ? [0] : [], stopped }
        },
      }
    },
    live: async (handle, queue) => {
      const status = () => handle.query<GroupStatus>(names.status)
      await waitFor(async () => (await status()).partitions.length === 2, { what: 'two partitions' })
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance', partitions: [1] }] })
      await handle.executeUpdate(names.resume, { args: [{ partitions: [1] }] })
      await handle.signal(names.configure, { ...revisionOn(queue), startedBy: 'a second worker' })
      await waitFor(async () => (await status()).partitions.length === 3, { what: 'three partitions' })
      await waitFor(async () => (await status()).pauses.partitions.length === 1, { what: 'the stopped slice' })
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance' }] })
      await handle.executeUpdate(names.resume, { args: [{}] })
    },
  },
  'group-resliced': {
    workflow: 'group',
    activities: () => ({ ...memoryRecord([0, 1, 2], 2), ...quietPoll(), process: async (input) => calmBatch(input) }),
    live: async (handle) => {
      const status = () => handle.query<GroupStatus>(names.status)
      await waitFor(async () => (await status()).partitions.length === 3, { what: 'three partitions' })
      await handle.executeUpdate(names.reslice, { args: [{ slices: 2 }] })
      await handle.executeUpdate(names.reslice, { args: [{ slices: 3, reason: 'more partitions' }] })
      await waitFor(async () => (await status()).generation === 2, { what: 'the next run' })
    },
  },
}

/** A poll that finds nothing, and does not fill the history meanwhile. */
function quietPoll(): Pick<Activities, 'poll'> {
  return {
    poll: async () => {
      await untilCancelled()
      return { added: [], missing: [], stopped: [] }
    },
  }
}
