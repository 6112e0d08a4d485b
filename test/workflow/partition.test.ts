import { Context } from '@temporalio/activity'
import type { WorkflowHandle } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { BatchInput } from '../../src/model/batch.js'
import { names, type PartitionInput, type PartitionStatus, workflowTypes } from '../../src/model/commands.js'
import { partitionWorkflowId } from '../../src/model/partition.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import {
  answer,
  handled,
  partitionInput,
  revisionOn,
  timeSkippingEnvironment,
  withWorker,
} from '../support/workflow-env.js'

describeWith(['timeSkipping'], 'partition workflow', () => {
  let env: TestWorkflowEnvironment
  // A server of its own for each test: an activity that a terminated workflow leaves behind keeps time from being skipped.
  beforeEach(async () => {
    env = await timeSkippingEnvironment()
  })
  afterEach(() => env?.teardown())

  async function start(queue: string, change: Partial<PartitionInput> = {}): Promise<WorkflowHandle> {
    const input = partitionInput(queue, change)
    return env.client.workflow.start(workflowTypes.partition, {
      workflowId: partitionWorkflowId(input.key),
      taskQueue: queue,
      args: [input],
    })
  }
  const status = (handle: WorkflowHandle) => answer(env, () => handle.query<PartitionStatus>(names.status))
  const always = async ({ position }: { position: string }) => ({ from: position, found: true })
  /** Works one batch of 100, and stops after it: while a workflow keeps busy, no time can be skipped. */
  const once = async (input: BatchInput) =>
    input.from === '0' ? handled(input, 100) : handled(input, 0, { end: 'stopped', blocked: 'the test is over' })
  const never = () => {
    const { cancelled } = Context.current()
    return cancelled
  }

  it('commits a batch only after all of it was processed', async () => {
    const log: string[] = []
    const activities = {
      poll: always,
      process: async (input: BatchInput) => {
        const result = await once(input)
        if (result.messages > 0) log.push(`processed to ${result.to}`)
        return result
      },
      commit: async ({ position }: { position: string }) => {
        log.push(`committed ${position}`)
        return { committed: true as const }
      },
    }
    await withWorker(env, activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(async () => (await status(handle)).progress?.committed === '100', { what: 'the commit' })
      await handle.terminate()
    })
    expect(log).toEqual(['processed to 100', 'committed 100'])
  })

  it('goes straight from a full batch to the next, and polls after an idle one', async () => {
    const log: string[] = []
    const activities = {
      poll: async ({ position }: { position: string }) => {
        log.push(`poll ${position}`)
        if (position === '0') return { from: position, found: true }
        return never()
      },
      process: async (input: BatchInput) => {
        log.push(`process ${input.from} as batch ${input.batch}`)
        return handled(input, 10, { end: input.from === '0' ? 'full' : 'idle' })
      },
    }
    await withWorker(env, activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(() => log.includes('poll 20'), { what: 'the second poll' })
      await handle.terminate()
    })
    expect(log).toEqual(['process 0 as batch 1', 'process 10 as batch 2', 'poll 20'])
  })

  it('keeps trying a failing batch for days, without a new batch or a lost position', async () => {
    const attempts: string[] = []
    const activities = {
      poll: always,
      process: async (input: BatchInput) => {
        const { attempt } = Context.current().info
        if (input.from === '0' && attempt <= 200)
          throw ApplicationFailure.retryable('the handler failed', 'HANDLER_FAILED')
        attempts.push(`${input.from} batch ${input.batch} attempt ${attempt}`)
        return once(input)
      },
    }
    await withWorker(env, activities, async (queue) => {
      const handle = await start(queue)
      await env.sleep('4 hours')
      await waitFor(async () => (await status(handle)).progress?.committed === '100', { what: 'the batch to pass' })
      await handle.terminate()
    })
    expect(attempts[0]).toBe('0 batch 1 attempt 201')
  })

  it('pauses a batch under way, and goes on from where it came', async () => {
    let paused = false
    const froms: string[] = []
    const activities = {
      poll: always,
      process: async (input: BatchInput) => {
        froms.push(input.from)
        if (paused) return handled(input, 0, { end: 'idle' })
        const { cancellationSignal } = Context.current()
        while (!cancellationSignal.aborted) {
          Context.current().heartbeat()
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        return handled(input, 7, { end: 'stopped' })
      },
    }
    await withWorker(env, activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(() => froms.length === 1, { what: 'the batch' })
      await handle.signal(names.pause, { reason: 'bad deploy' })
      await waitFor(async () => (await status(handle)).progress?.committed === '7', { what: 'the batch to be let go' })
      expect(await status(handle)).toMatchObject({ mode: 'paused', reason: 'bad deploy' })
      expect(froms).toEqual(['0'])
      paused = true
      await handle.signal(names.resume)
      await waitFor(() => froms.includes('7'), { what: 'the next batch' })
      await handle.terminate()
    })
  })

  it('stops in front of what retrying cannot mend, commits what came before it, and tries again when a worker starts', async () => {
    let fixed = false
    const activities = {
      poll: always,
      process: async (input: BatchInput) =>
        fixed
          ? handled(input, 0, { end: 'idle' })
          : handled(input, 42, { end: 'stopped', blocked: 'orders[0] offset 42 is not JSON' }),
    }
    await withWorker(env, activities, async (queue) => {
      const handle = await start(queue)
      const blocked = await waitFor(async () => (await status(handle)).mode === 'blocked' && status(handle), {
        what: 'the block',
      })
      expect(blocked.reason).toBe('orders[0] offset 42 is not JSON')
      await waitFor(async () => (await status(handle)).progress?.committed === '42', { what: 'the commit before it' })
      fixed = true
      await handle.signal(names.configure, revisionOn(queue))
      await waitFor(async () => (await status(handle)).mode === 'running', { what: 'the partition to go on' })
      await handle.terminate()
    })
  })

  it('lets go of a partition that a newer epoch has taken, and takes it back with a newer one on resume', async () => {
    const opened: number[] = []
    let taken = true
    const activities = {
      open: async ({ above }: { above: number }) => {
        opened.push(above)
        return { epoch: above + 5, position: '0', replay: 0 }
      },
      poll: always,
      process: async (input: BatchInput) => {
        if (taken) throw ApplicationFailure.nonRetryable('orders[0] belongs to epoch 9', 'FENCED')
        return once(input)
      },
    }
    await withWorker(env, activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(async () => (await status(handle)).mode === 'fenced', { what: 'the partition to be fenced' })
      expect((await status(handle)).reason).toBe('orders[0] belongs to epoch 9')
      taken = false
      await handle.signal(names.resume)
      await waitFor(async () => (await status(handle)).progress?.committed === '100', {
        what: 'the partition to go on',
      })
      await handle.terminate()
    })
    expect(opened).toEqual([0, 5])
  })

  it('lets go of a partition when the store refuses its commit', async () => {
    const activities = {
      poll: always,
      process: once,
      commit: async () => ({ committed: false as const, why: 'epoch 3 has it' }),
    }
    await withWorker(env, activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(async () => (await status(handle)).mode === 'fenced', { what: 'the partition to be fenced' })
      expect((await status(handle)).reason).toBe('epoch 3 has it')
      await handle.terminate()
    })
  })

  it('goes on with an older config when no worker with the one in force takes a batch', async () => {
    const asked: string[] = []
    const activities = {
      poll: always,
      process: once,
      fallback: async ({ wanted }: { wanted: string }) => {
        asked.push(wanted)
        return { version: '' }
      },
    }
    await withWorker(env, activities, async (queue) => {
      const handle = await start(queue, { revision: revisionOn(queue, '-of-nobody') })
      await env.sleep('1 minute')
      await waitFor(async () => (await status(handle)).progress?.committed === '100', { what: 'the batch' })
      await handle.terminate()
    })
    expect(asked).toEqual(['-of-nobody'])
  })
})
