import { Context } from '@temporalio/activity'
import type { WorkflowHandle } from '@temporalio/client'
import { NativeConnection } from '@temporalio/worker'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BatchInput, CommitInput } from '../../src/model/batch.js'
import { names, type PartitionStatus, workflowTypes } from '../../src/model/commands.js'
import { partitionWorkflowId } from '../../src/model/partition.js'
import { temporalClient } from '../support/consume.js'
import { describeWith, part } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { type Activities, handled, partitionInput, workOn } from '../support/workflow-env.js'

// On the real server: the one that skips time loses an activity that completes while it is being cancelled.
describeWith(['temporal'], 'partition workflow, when its position is put elsewhere', () => {
  let client: Awaited<ReturnType<typeof temporalClient>>
  let nativeConnection: NativeConnection
  beforeAll(async () => {
    client = await temporalClient()
    nativeConnection = await NativeConnection.connect({ address: part('temporal').address })
  })
  afterAll(async () => {
    await client?.close()
    await nativeConnection?.close()
  })
  const withActivities = (activities: Partial<Activities>, test: (queue: string) => Promise<void>) =>
    workOn({ nativeConnection, namespace: part('temporal').namespace }, activities, test)

  async function start(queue: string): Promise<WorkflowHandle> {
    const input = partitionInput(queue)
    return client.workflow.start(workflowTypes.partition, {
      workflowId: partitionWorkflowId(input.key),
      taskQueue: queue,
      args: [input],
    })
  }
  const status = (handle: WorkflowHandle) => handle.query<PartitionStatus>(names.status)
  const untilCancelled = async () => {
    const { cancellationSignal } = Context.current()
    while (!cancellationSignal.aborted) {
      Context.current().heartbeat()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  it('lets the batch under way go, forgets where it came, and begins at the new position with a new epoch', async () => {
    let stored = { position: '500', replay: 0 }
    const began: string[] = []
    const committed: CommitInput[] = []
    const activities = {
      open: async ({ above }: { above: number }) => ({ epoch: above + 1, ...stored }),
      process: async (input: BatchInput) => {
        began.push(`${input.from} replay ${input.replay} epoch ${input.epoch}`)
        if (began.length > 2) return handled(input, 0, { end: 'idle' as const })
        if (input.replay > 0) return handled(input, 10)
        await untilCancelled()
        return handled(input, 7, { end: 'stopped' })
      },
      commit: async (input: CommitInput) => {
        committed.push(input)
        return { committed: true as const }
      },
    }
    await withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(() => began.length === 1, { what: 'the batch' })
      stored = { position: '0', replay: 1 }
      await handle.signal(names.reopen)
      await waitFor(() => committed.length === 1, { what: 'a commit of the new replay' })
      await handle.terminate()
    })
    expect(began.slice(0, 2)).toEqual(['500 replay 0 epoch 1', '0 replay 1 epoch 2'])
    expect(committed[0]).toMatchObject({ epoch: 2, replay: 1, position: '10' })
  })

  it('finds out from a refused commit when nobody told it', async () => {
    let stored = { position: '500', replay: 0 }
    const began: string[] = []
    const activities = {
      open: async ({ above }: { above: number }) => ({ epoch: above + 1, ...stored }),
      process: async (input: BatchInput) => {
        began.push(`${input.from} replay ${input.replay}`)
        return began.length === 1 ? handled(input, 7) : handled(input, 0, { end: 'idle' as const })
      },
      commit: async () => {
        stored = { position: '3', replay: 1 }
        return { committed: false as const, why: 'reset', reopen: true }
      },
    }
    await withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(() => began.includes('3 replay 1'), { what: 'the new replay' })
      expect(await status(handle)).toMatchObject({ mode: 'running' })
      await handle.terminate()
    })
  })

  it('a batch may ask for it, and commits nothing then', async () => {
    const began: string[] = []
    let commits = 0
    const activities = {
      open: async ({ above }: { above: number }) => ({
        epoch: above + 1,
        position: above === 0 ? '5' : '90',
        replay: above === 0 ? 0 : 1,
      }),
      process: async (input: BatchInput) => {
        began.push(input.from)
        if (input.from === '5') return handled(input, 2, { end: 'stopped' as const, reopen: true })
        return handled(input, 0, { end: 'idle' as const })
      },
      commit: async () => {
        commits++
        return { committed: true as const }
      },
    }
    await withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(() => began.includes('90'), { what: 'the batch at the new position' })
      await handle.terminate()
    })
    expect(commits).toBe(0)
  })

  it('lets a blocked partition go on, and leaves a paused one paused', async () => {
    let opened = 0
    const activities = {
      open: async ({ above }: { above: number }) => {
        opened++
        return { epoch: above + 1, position: opened === 1 ? '0' : '50', replay: opened - 1 }
      },
      process: async (input: BatchInput) =>
        input.from === '0'
          ? handled(input, 0, { end: 'stopped' as const, blocked: 'not JSON' })
          : handled(input, 0, { end: 'idle' as const }),
    }
    await withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(async () => (await status(handle)).mode === 'blocked', { what: 'the block' })
      await handle.signal(names.reopen)
      await waitFor(async () => (await status(handle)).progress?.position === '50', { what: 'the new position' })
      expect(await status(handle)).toMatchObject({ mode: 'running' })
      await handle.signal(names.pause, { reason: 'lunch' })
      await waitFor(async () => (await status(handle)).mode === 'paused', { what: 'the pause' })
      await handle.signal(names.reopen)
      expect(await status(handle)).toMatchObject({ mode: 'paused' })
      expect(opened).toBe(2)
      await handle.terminate()
    })
  })

  it('commits what was handled and not committed, though nothing new comes', async () => {
    const committed: string[] = []
    const activities = {
      open: async () => ({ epoch: 3, position: '90', committed: '50', replay: 0 }),
      process: async (input: BatchInput) => handled(input, 0, { end: 'idle' as const }),
      commit: async ({ position }: CommitInput) => {
        committed.push(position)
        return { committed: true as const }
      },
    }
    await withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(async () => (await status(handle)).progress?.committed === '90', { what: 'the commit' })
      await handle.terminate()
    })
    expect(committed).toEqual(['90'])
  })

  it('leaves the commit to a batch whose strategy commits by itself', async () => {
    let commits = 0
    const activities = {
      process: async (input: BatchInput) =>
        input.from === '0'
          ? handled(input, 10, { end: 'idle' as const, committed: '8' })
          : handled(input, 0, { end: 'idle' as const, committed: '8' }),
      poll: async ({ position }: { position: string }) => ({ from: position, found: position === '0' }),
      commit: async () => {
        commits++
        return { committed: true as const }
      },
    }
    await withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(async () => (await status(handle)).progress?.position === '10', { what: 'the batch' })
      expect((await status(handle)).progress).toMatchObject({ position: '10', committed: '8' })
      await handle.terminate()
    })
    expect(commits).toBe(0)
  })
})
