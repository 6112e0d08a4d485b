import type { WorkflowHandle } from '@temporalio/client'
import { expect, it } from 'vitest'
import type { CommitRequest, PartitionBatch } from '../../src/model/batch.js'
import { names, type SliceStatus } from '../../src/model/commands.js'
import { describeWith } from '../support/parts.js'
import { realServer } from '../support/real-server.js'
import { waitFor } from '../support/wait-for.js'
import {
  type Activities,
  committed,
  handled,
  opened,
  sliceInput,
  untilCancelled,
  worked,
} from '../support/workflow-env.js'

// On the real server: the one that skips time loses an activity that completes while it is being cancelled.
describeWith(['temporal'], 'slice workflow, when the position of a partition is put elsewhere', () => {
  const server = realServer()

  const start = (queue: string, partitions?: readonly number[]): Promise<WorkflowHandle> =>
    server.startSlice(queue, sliceInput(queue, partitions))
  const status = async (handle: WorkflowHandle, partition = 0) => {
    const { partitions } = await handle.query<SliceStatus>(names.status)
    return partitions.find((one) => one.partition === partition)!
  }
  const reopen = (handle: WorkflowHandle) => handle.signal(names.reopen, { partitions: [0] })
  const at = (position: string, replay = 0) => ({ position, committed: position, replay })

  it('lets the batch under way go, forgets where it came, and begins at the new position with a new epoch', async () => {
    let stored = at('500')
    const began: string[] = []
    const commits: CommitRequest[] = []
    const activities: Partial<Activities> = {
      open: async (input) => opened(input, stored.position, stored),
      process: async (input) => {
        const [{ from, replay, epoch }] = input.partitions as [PartitionBatch]
        began.push(`${from} replay ${replay} epoch ${epoch}`)
        if (began.length > 2) return handled(input, 0, { end: 'rest' })
        if (replay > 0) return handled(input, 10)
        await untilCancelled()
        return handled(input, 7, { end: 'released' })
      },
      commit: async (input) => {
        commits.push(...input.partitions)
        return committed(input)
      },
    }
    await server.withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(() => began.length === 1, { what: 'the batch' })
      stored = at('0', 1)
      await reopen(handle)
      await waitFor(() => commits.length === 1, { what: 'a commit of the new replay' })
      await handle.terminate()
    })
    expect(began.slice(0, 2)).toEqual(['500 replay 0 epoch 1', '0 replay 1 epoch 2'])
    expect(commits[0]).toMatchObject({ epoch: 2, replay: 1, position: '10' })
  })

  it('asks a batch to let go of that partition alone, and opens it while its neighbours are worked', async () => {
    const began: string[][] = []
    let stored = at('500')
    let handle: WorkflowHandle
    const activities: Partial<Activities> = {
      open: async (input) => opened(input, stored.position, stored),
      process: async (input) => {
        began.push(input.partitions.map(({ partition, from, epoch }) => `${partition}: ${from} epoch ${epoch}`))
        if (began.length > 1) {
          await untilCancelled()
          return handled(input, 0, { end: 'released' })
        }
        // As a batch does: it reads the memo, and says which partition has left.
        const asked = async () => (await handle.describe()).memo?.letGo as Record<string, [number, number]> | undefined
        const letGo = await waitFor(asked, { what: 'to be asked to let go' })
        expect(letGo).toEqual({ 0: [1, 1] })
        await handle.signal(names.leave, [worked(input.partitions[0]!, 7, { end: 'released' })])
        await untilCancelled()
        return handled(input, 3, { end: 'released' })
      },
    }
    await server.withActivities(activities, async (queue) => {
      handle = await start(queue, [0, 16])
      await waitFor(() => began.length === 1, { what: 'the batch' })
      stored = at('20', 1)
      await reopen(handle)
      await waitFor(() => began.length === 2, { what: 'a batch at the new position' })
      expect((await status(handle, 16)).progress).toMatchObject({ epoch: 1, batch: 1 })
      expect(began).toEqual([['0: 500 epoch 1', '16: 500 epoch 1'], ['0: 20 epoch 2']])
      await handle.terminate()
    })
  })

  it('finds out from a refused commit when nobody told it', async () => {
    let stored = at('500')
    const began: string[] = []
    const activities: Partial<Activities> = {
      open: async (input) => opened(input, stored.position, stored),
      process: async (input) => {
        const [{ from, replay }] = input.partitions as [PartitionBatch]
        began.push(`${from} replay ${replay}`)
        return began.length === 1 ? handled(input, 7) : handled(input, 0, { end: 'rest' })
      },
      commit: async ({ partitions }) => {
        stored = at('3', 1)
        return partitions.map(({ partition }) => ({ partition, outcome: 'reopen', reason: 'reset' }))
      },
    }
    await server.withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(() => began.includes('3 replay 1'), { what: 'the new replay' })
      expect(await status(handle)).toMatchObject({ condition: 'healthy', paused: null })
      await handle.terminate()
    })
  })

  it('a batch may ask for it, and commits nothing then', async () => {
    const began: string[] = []
    let commits = 0
    const activities: Partial<Activities> = {
      open: async (input) =>
        input.partitions[0]!.above === 0 ? opened(input, '5') : opened(input, '90', { replay: 1 }),
      process: async (input) => {
        const [{ from }] = input.partitions as [PartitionBatch]
        began.push(from)
        if (from === '5') return handled(input, 2, { end: 'reopen', reason: 'reset' })
        return handled(input, 0, { end: 'rest' })
      },
      commit: async (input) => {
        commits++
        return committed(input)
      },
    }
    await server.withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(() => began.includes('90'), { what: 'the batch at the new position' })
      await handle.terminate()
    })
    expect(commits).toBe(0)
  })

  it('lets a blocked partition go on, and leaves a paused one paused', async () => {
    let opens = 0
    const activities: Partial<Activities> = {
      open: async (input) => opened(input, opens++ === 0 ? '0' : '50', { replay: opens - 1 }),
      process: async (input) =>
        input.partitions[0]!.from === '0'
          ? handled(input, 0, { end: 'blocked', reason: 'not JSON' })
          : handled(input, 0, { end: 'rest' }),
    }
    await server.withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(async () => (await status(handle)).condition === 'blocked', { what: 'the block' })
      await reopen(handle)
      await waitFor(async () => (await status(handle)).progress?.position === '50', { what: 'the new position' })
      expect(await status(handle)).toMatchObject({ condition: 'healthy' })
      await handle.signal(names.pause, { note: { by: 'ada', reason: 'lunch', since: '2026-01-01T00:00:00.000Z' } })
      await waitFor(async () => (await status(handle)).paused, { what: 'the pause' })
      await reopen(handle)
      expect(await status(handle)).toMatchObject({ paused: { reason: 'lunch' }, place: 'none' })
      expect(opens).toBe(2)
      await handle.terminate()
    })
  })

  it('commits what was handled and not committed, though nothing new comes', async () => {
    const commits: string[] = []
    const activities: Partial<Activities> = {
      open: async (input) => opened(input, '90', { committed: '50' }),
      commit: async (input) => {
        commits.push(...input.partitions.map(({ position }) => position))
        return committed(input)
      },
    }
    await server.withActivities(activities, async (queue) => {
      const handle = await start(queue)
      await waitFor(async () => (await status(handle)).progress?.committed === '90', { what: 'the commit' })
      await handle.terminate()
    })
    expect(commits).toEqual(['90'])
  })

  it('leaves the commit to a batch whose strategy commits by itself', async () => {
    let commits = 0
    const activities: Partial<Activities> = {
      process: async (input) =>
        input.partitions[0]!.from === '0'
          ? handled(input, 10, { committed: '8' })
          : handled(input, 0, { end: 'rest', committed: '8' }),
      commit: async (input) => {
        commits++
        return committed(input)
      },
    }
    await server.withActivities(activities, async (queue) => {
      const handle = await start(queue)
      const rests = async () => (await handle.describe()).memo?.rest !== undefined
      await waitFor(rests, { what: 'both batches' })
      expect((await status(handle)).progress).toMatchObject({ position: '10', committed: '8' })
      await handle.terminate()
    })
    expect(commits).toBe(0)
  })
})
