import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import { expect, it } from 'vitest'
import { pauseGroup, resumeGroup } from '../../src/client/commands.js'
import { groupStatus, type PartitionView } from '../../src/client/status.js'
import type { BatchInput, BatchResult } from '../../src/model/batch.js'
import { names, type ReopenCommand } from '../../src/model/commands.js'
import { type GroupName, sliceWorkflowId } from '../../src/model/partition.js'
import { describeWith } from '../support/parts.js'
import { realServer } from '../support/real-server.js'
import { waitFor } from '../support/wait-for.js'
import { type Activities, groupInput, handled, memoryRecord, untilCancelled, worked } from '../support/workflow-env.js'

interface LiveGroup {
  readonly name: GroupName
  /** What `status` shows of a partition. */
  see(partition?: number): Promise<PartitionView>
  /** Waits until `status` shows this. */
  shows(state: PartitionView['state'], reason: string, partition?: number): Promise<PartitionView>
  pause(reason: string, partitions?: readonly number[]): Promise<unknown>
  resume(): Promise<unknown>
  /** A worker starts: with the same config, unless told otherwise. */
  workerStarts(change?: { readonly until: 'head' }): Promise<void>
  reset(partitions: readonly number[]): Promise<void>
}

/*
 * A pause is a decision of people. Nothing but people ends it: no error, no worker that starts or dies, no reset. These tests run on a real
 * Temporal server, since what becomes of an activity that is asked to end and fails instead is the server's doing.
 */
describeWith(['temporal'], 'a pause', () => {
  const server = realServer()

  /** Runs a group with two slices for as long as `test` does. */
  function withGroup(
    { partitions = [0], ...activities }: Partial<Activities> & { readonly partitions?: number[] },
    test: (group: LiveGroup) => Promise<void>,
  ): Promise<void> {
    return server.withActivities({ ...memoryRecord(partitions, 2), ...activities }, async (queue) => {
      const timing = { heartbeatTimeoutMs: 1_000, batchMs: 30_000 }
      const input = groupInput(queue, { timing })
      const name = { group: input.group, stream: input.stream }
      const handle = await server.startGroup(queue, input)
      const see = async (partition = 0) => (await groupStatus(server.client, name)).partitions[partition]!
      const shows = async (state: PartitionView['state'], reason: string, partition = 0) =>
        waitFor(
          async () => {
            const view = await see(partition)
            if (view.state === state && view.reason === reason) return view
            throw new Error(`it shows ${view.state}: ${view.reason}`)
          },
          { what: `status to show ${state}: ${reason}` },
        )
      try {
        await test({
          name,
          see,
          shows,
          pause: (reason, partitions) =>
            pauseGroup(server.client, name, { reason, ...(partitions ? { partitions } : {}) }),
          resume: () => resumeGroup(server.client, name),
          workerStarts: (change) => handle.signal(names.configure, { ...input.revision, ...change }),
          reset: (partitions) => handle.signal<[ReopenCommand]>(names.reopen, { partitions }),
        })
      } finally {
        const ids = [handle.workflowId, ...[0, 1].map((slice) => sliceWorkflowId(name, slice))]
        for (const id of ids)
          await server.client.workflow
            .getHandle(id)
            .terminate()
            .catch(() => {})
      }
    })
  }

  /** A batch whose chunk in hand ends in this way, once the batch is asked to let go. The next ones have nothing to do. */
  function endingWith(end: (input: BatchInput) => BatchResult) {
    const begun: BatchInput[] = []
    const process = async (input: BatchInput): Promise<BatchResult> => {
      begun.push(input)
      await untilCancelled()
      return begun.length === 1 ? end(input) : handled(input, 0, { end: 'released' })
    }
    return { begun, process }
  }

  const blockedBy = (reason: string) => (input: BatchInput) => handled(input, 7, { end: 'blocked', reason })

  it('holds when the batch comes to what can not be decoded while it lets go, and a worker starts', async () => {
    const { begun, process } = endingWith(blockedBy('orders[0] offset 7 is not JSON'))
    await withGroup({ process }, async ({ pause, shows, workerStarts, resume }) => {
      await waitFor(() => begun.length === 1, { what: 'a batch' })
      await pause('bad deploy')
      await shows('paused', 'bad deploy')
      await workerStarts()
      await workerStarts({ until: 'head' })
      await shows('paused', 'bad deploy')
      expect(begun).toHaveLength(1)
      await resume()
      await waitFor(() => begun.length === 2, { what: 'a batch after the resume' })
      expect(begun[1]!.partitions).toMatchObject([{ batch: 2 }])
    })
  })

  it('does not turn into a block when the handler fails while the batch lets go', async () => {
    const { begun, process } = endingWith(() => {
      throw ApplicationFailure.create({ message: 'the remote system timed out', nextRetryDelay: '1 hour' })
    })
    await withGroup({ process }, async ({ pause, shows, resume }) => {
      await waitFor(() => begun.length === 1, { what: 'a batch' })
      await pause('bad deploy')
      await shows('paused', 'bad deploy')
      await resume()
      await shows('running', '')
      await waitFor(() => begun.length === 2, { what: 'a batch after the resume' })
    })
  })

  it('does not turn into a block when the worker that has the batch dies', async () => {
    let begun = 0
    const process = async (input: BatchInput): Promise<BatchResult> => {
      begun++
      // A worker that is dead says nothing: no heartbeat, and no answer.
      if (begun === 1) await new Promise((resolve) => setTimeout(resolve, 6_000))
      else await untilCancelled()
      return handled(input, 0, { end: 'released' })
    }
    await withGroup({ process }, async ({ pause, see, shows, workerStarts, resume }) => {
      await waitFor(() => begun === 1, { what: 'a batch' })
      await pause('bad deploy')
      expect(await see()).toMatchObject({ state: 'pausing', reason: 'bad deploy' })
      await shows('paused', 'bad deploy')
      await workerStarts()
      await shows('paused', 'bad deploy')
      await resume()
      await shows('running', '')
    })
  })

  it('is acknowledged soon while the batch waits for its next try, for one partition of many and for all', async () => {
    let begun = 0
    const process = async (): Promise<BatchResult> => {
      begun++
      throw ApplicationFailure.create({ message: 'the database is away', nextRetryDelay: '1 hour' })
    }
    await withGroup({ partitions: [0, 2, 4], process }, async ({ pause, see, shows }) => {
      await waitFor(() => begun === 1, { what: 'a batch' })
      await shows('retrying', 'attempt 2: the database is away')
      await pause('look into it', [0])
      // At once: nothing is in hand. That its batch still has it does not count.
      expect(await see()).toMatchObject({ state: 'paused', working: true })
      // Its neighbours need not wait for the end of the pause between two tries, and neither does a reset.
      await waitFor(() => begun === 2, { what: 'the batch of its neighbours' })
      await pause('all of them')
      await shows('paused', 'look into it', 0)
      await shows('paused', 'all of them', 1)
    })
  })

  it('is pausing as long as a chunk is in hand', async () => {
    let letGo = () => {}
    const done = new Promise<void>((resolve) => {
      letGo = resolve
    })
    let begun = 0
    const process = async (input: BatchInput): Promise<BatchResult> => {
      begun++
      const beat = setInterval(() => Context.current().heartbeat(), 50)
      await done.finally(() => clearInterval(beat))
      return handled(input, 5, { end: 'released' })
    }
    await withGroup({ process }, async ({ pause, see, shows }) => {
      try {
        await waitFor(() => begun === 1, { what: 'a batch' })
        await pause('bad deploy')
        await pause('a second thought')
        for (let look = 0; look < 5; look++)
          expect(await see()).toMatchObject({ state: 'pausing', reason: 'bad deploy' })
      } finally {
        // The worker can't end before its batch has, and would hide what failed.
        letGo()
      }
      await shows('paused', 'bad deploy')
      await waitFor(async () => (await see()).committed === '5', { what: 'the commit of what was in hand' })
    })
  })

  it('outlasts a reset, a fence and a worker that starts', async () => {
    const { begun, process } = endingWith((input) => handled(input, 7, { end: 'fenced', reason: 'epoch 9 has it' }))
    await withGroup({ process }, async ({ pause, shows, reset, workerStarts }) => {
      await waitFor(() => begun.length === 1, { what: 'a batch' })
      await pause('bad deploy')
      await shows('paused', 'bad deploy (and fenced: epoch 9 has it)')
      await reset([0])
      await shows('paused', 'bad deploy')
      await workerStarts({ until: 'head' })
      await shows('paused', 'bad deploy')
      expect(begun).toHaveLength(1)
    })
  })

  it('that comes while the partitions are started holds for all of them', async () => {
    const partitions = Array.from({ length: 40 }, (_, index) => index)
    const record = memoryRecord(partitions, 2)
    let begun = 0
    let paused = false
    let begunAfter = 0
    const process = async (input: BatchInput): Promise<BatchResult> => {
      begun++
      if (paused) begunAfter++
      await untilCancelled()
      return handled(input, 0, { end: 'released' })
    }
    const enroll: Activities['enroll'] = async (input) => {
      const enrolled = await record.enroll(input)
      // The pause is written down between this answer and its arrival.
      await new Promise((resolve) => setTimeout(resolve, 300))
      return enrolled
    }
    await withGroup({ partitions, ...record, enroll, process }, async ({ pause, name }) => {
      await pause('bad deploy')
      const allPaused = async () => {
        const { paused, partitions } = await groupStatus(server.client, name)
        return (
          paused === 'bad deploy' && partitions.length === 40 && partitions.every(({ state }) => state === 'paused')
        )
      }
      await waitFor(allPaused, { what: 'all partitions to be paused' })
      paused = true
      // A batch that was on its way to a worker may begin after the command, and is let go; none does once people are told.
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect([begun > 2, begunAfter]).toEqual([false, 0])
    })
  })

  it('that is written down while the group looks for added partitions is not forgotten', async () => {
    const partitions = [0, 1]
    const record = memoryRecord(partitions, 2)
    let answer = () => {}
    const asked = new Promise<void>((resolve) => {
      answer = resolve
    })
    let looks = 0
    const enroll: Activities['enroll'] = async (input) => {
      const enrolled = await record.enroll(input)
      if (++looks === 2) await asked
      return enrolled
    }
    const poll: Activities['poll'] = async ({ partitions: known }) => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return { added: partitions.filter((one) => !known.includes(one)), missing: [], stopped: [] }
    }
    const { process } = endingWith((input) => handled(input, 0, { end: 'released' }))
    await withGroup({ partitions, ...record, enroll, poll, process }, async ({ pause, shows, name }) => {
      await shows('running', '')
      partitions.push(2)
      await waitFor(() => looks === 2, { what: 'a look for added partitions' })
      await pause('bad deploy')
      answer()
      await shows('paused', 'bad deploy', 2)
      expect((await groupStatus(server.client, name)).paused).toBe('bad deploy')
    })
  })

  it('of one partition goes on after the worker of the whole batch has died', async () => {
    const begun: BatchInput[] = []
    const process = async (input: BatchInput): Promise<BatchResult> => {
      begun.push(input)
      const { attempt } = Context.current().info
      if (attempt === 1 && begun.length === 1) await new Promise((resolve) => setTimeout(resolve, 6_000))
      // As a batch does that begins again: it looks for what it was asked for.
      const asked = input.partitions.filter(({ partition }) => partition === 0)
      const others = input.partitions.filter(({ partition }) => partition !== 0)
      if (attempt > 1 && asked.length > 0 && others.length > 0)
        return {
          partitions: [
            ...asked.map((one) => worked(one, 0, { end: 'released' })),
            ...others.map((one) => worked(one, 3, { end: 'released' })),
          ],
        }
      await untilCancelled()
      return handled(input, 0, { end: 'released' })
    }
    await withGroup({ partitions: [0, 2], process }, async ({ pause, shows }) => {
      await waitFor(() => begun.length === 1, { what: 'a batch' })
      await pause('bad deploy', [0])
      await shows('paused', 'bad deploy', 0)
      expect(await shows('running', '', 1)).toMatchObject({ working: true })
      await waitFor(() => begun.length >= 3, { what: 'the next batch' })
      expect(begun.at(-1)!.partitions.map(({ partition }) => partition)).toEqual([2])
    })
  })
})
