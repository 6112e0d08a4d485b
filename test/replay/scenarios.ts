import type { WorkflowHandle } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import type { BatchInput } from '../../src/model/batch.js'
import { type GroupStatus, names, type PartitionStatus } from '../../src/model/commands.js'
import { waitFor } from '../support/wait-for.js'
import { type Activities, handled, revisionOn } from '../support/workflow-env.js'

/**
 * A life of a workflow that is worth remembering. Its history is recorded once, committed, and replayed by every later version of
 * the workflows: a change that running workflows can't live with fails here, and not in production.
 */
export interface Scenario {
  readonly workflow: 'partition' | 'group'
  /** Begins as a bounded run. */
  readonly until?: 'message'
  readonly activities: () => Partial<Activities>
  readonly live: (handle: WorkflowHandle, queue: string) => Promise<void>
}

const status = (handle: WorkflowHandle) => handle.query<PartitionStatus>(names.status)
const always = async ({ position }: { position: string }) => ({ from: position, found: true })
const reached = (handle: WorkflowHandle, position: string) =>
  waitFor(async () => (await status(handle)).progress?.committed === position, { what: `commit of ${position}` })

export const scenarios: Record<string, Scenario> = {
  'partition-batches-and-idle': {
    workflow: 'partition',
    activities: () => ({
      poll: async ({ position }) => ({ from: position, found: true }),
      process: async (input: BatchInput) =>
        input.from === '50'
          ? handled(input, 0, { end: 'stopped', blocked: 'the story is over' })
          : handled(input, 10, { end: input.from === '10' ? 'idle' : 'full' }),
    }),
    live: async (handle) => {
      await reached(handle, '50')
    },
  },
  'partition-paused-and-resumed': {
    workflow: 'partition',
    activities: () => ({ poll: always, process: async (input) => handled(input, 1, { end: 'idle' }) }),
    live: async (handle) => {
      await waitFor(async () => Number((await status(handle)).progress?.committed) > 2, { what: 'some batches' })
      await handle.signal(names.pause, { reason: 'maintenance' })
      await waitFor(async () => (await status(handle)).mode === 'paused', { what: 'the pause' })
      await handle.signal(names.resume)
      const { progress } = await status(handle)
      await waitFor(async () => Number((await status(handle)).progress?.committed) > Number(progress?.position) + 2, {
        what: 'more batches',
      })
    },
  },
  'partition-blocked-fenced-and-fixed': {
    workflow: 'partition',
    activities: () => {
      let tries = 0
      return {
        poll: always,
        process: async (input) => {
          tries++
          if (tries === 1) return handled(input, 5, { end: 'stopped', blocked: 'orders[0] offset 5 is not JSON' })
          if (tries === 2) throw ApplicationFailure.nonRetryable('orders[0] has a newer owner', 'FENCED')
          return input.from === '5'
            ? handled(input, 5)
            : handled(input, 0, { end: 'stopped', blocked: 'the story is over' })
        },
        open: async ({ above }) => ({ epoch: above + 1, position: above === 0 ? '0' : '5', replay: 0 }),
      }
    },
    live: async (handle, queue) => {
      await waitFor(async () => (await status(handle)).mode === 'blocked', { what: 'the block' })
      await handle.signal(names.configure, revisionOn(queue))
      await waitFor(async () => (await status(handle)).mode === 'fenced', { what: 'the fence' })
      await handle.signal(names.resume)
      await waitFor(async () => (await status(handle)).reason === 'the story is over', { what: 'the end' })
      await reached(handle, '10')
    },
  },
  'partition-reads-to-its-end': {
    workflow: 'partition',
    activities: () => ({
      poll: always,
      process: async (input) =>
        input.run
          ? handled(input, 5, { end: 'finished' })
          : handled(input, 0, { end: 'stopped', blocked: 'no end yet' }),
    }),
    live: async (handle, queue) => {
      await waitFor(async () => (await status(handle)).mode === 'blocked', { what: 'the block' })
      await handle.signal(names.configure, { ...revisionOn(queue), until: 'message' })
      await waitFor(async () => (await status(handle)).mode === 'finished', { what: 'the end' })
      await handle.signal(names.finish)
      await handle.result()
    },
  },
  'group-reads-to-its-end': {
    workflow: 'group',
    until: 'message',
    activities: () => {
      return {
        discover: async ({ known, verify }) => {
          await new Promise((resolve) => setTimeout(resolve, 200))
          return { partitions: [0], missing: verify ? [...known] : [] }
        },
        process: async (input) => handled(input, 10, { end: 'finished' }),
      }
    },
    live: async (handle) => {
      await handle.result()
    },
  },
  'group-grows-pauses-and-is-configured': {
    workflow: 'group',
    activities: () => {
      let looks = 0
      return {
        discover: async ({ known, verify }) => {
          looks++
          if (verify) return { partitions: [...known], missing: [] }
          if (looks === 1) return { partitions: [0, 1], missing: [] }
          await new Promise((resolve) => setTimeout(resolve, 200))
          return { partitions: looks > 3 ? [0, 1, 2] : [0, 1], missing: [] }
        },
      }
    },
    live: async (handle, queue) => {
      const partitions = async () => (await handle.query<GroupStatus>(names.status)).partitions.length
      await waitFor(async () => (await partitions()) === 2, { what: 'two partitions' })
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance' }] })
      await handle.executeUpdate(names.resume, { args: [{ partitions: [1] }] })
      await handle.signal(names.configure, { ...revisionOn(queue), startedBy: 'a second worker' })
      await waitFor(async () => (await partitions()) === 3, { what: 'three partitions' })
      await handle.executeUpdate(names.resume, { args: [{}] })
    },
  },
}
