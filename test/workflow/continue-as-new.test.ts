import { TestWorkflowEnvironment } from '@temporalio/testing'
import { expect, it } from 'vitest'
import type { BatchInput, CommitInput, OpenInput } from '../../src/model/batch.js'
import { names, type SliceMemo, type SliceStatus, workflowTypes } from '../../src/model/commands.js'
import { sliceWorkflowId } from '../../src/model/partition.js'
import { describeWith, part } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { committed, handled, opened, quiet, sliceInput, withWorker, worked } from '../support/workflow-env.js'

// On a real server: it is the one that says when a history is long enough.
describeWith(['temporal'], 'a long-lived slice', () => {
  it('carries positions, epochs and batch numbers over to a new run, and nothing is worked twice', async () => {
    quiet()
    const env = await TestWorkflowEnvironment.createFromExistingServer({ address: part('temporal').address })
    const partitions = [0, 16]
    const batches = new Map<number, number>()
    let opens = 0
    let furthest = 0
    // A history is long enough by its events or by its bytes. These come sooner: each batch is told the log's identity.
    const identity = 'x'.repeat(15_000)
    const activities = {
      open: async (input: OpenInput) => {
        opens++
        return opened(input, '0', { identity })
      },
      process: async (input: BatchInput) => {
        for (const { partition, from, batch, epoch } of input.partitions) {
          const before = batches.get(partition) ?? 0
          expect({ partition, from, batch, epoch }).toEqual({
            partition,
            from: String(before),
            batch: before + 1,
            epoch: 1,
          })
          batches.set(partition, before + 1)
        }
        return handled(input, 1)
      },
      commit: async (input: CommitInput) => {
        for (const { position } of input.partitions) furthest = Math.max(furthest, Number(position))
        return committed(input)
      },
    }
    try {
      await withWorker(env, activities, async (queue) => {
        const input = sliceInput(queue, partitions)
        const workflowId = sliceWorkflowId(input.name, input.slice)
        const started = await env.client.workflow.start(workflowTypes.slice, {
          workflowId,
          taskQueue: queue,
          args: [input],
        })
        const handle = env.client.workflow.getHandle(workflowId)
        await waitFor(async () => (await handle.describe()).runId !== started.firstExecutionRunId, {
          what: 'a new run',
          timeout: 90_000,
        })
        const atStart = batches.get(0)!
        await waitFor(() => batches.get(0)! > atStart + 5 && furthest > atStart, { what: 'batches of the new run' })
        const status = await waitFor(() => handle.query<SliceStatus>(names.status), { what: 'its status' })
        for (const { progress, condition } of status.partitions) {
          expect(condition).toBe('healthy')
          expect(progress!.epoch).toBe(1)
          expect(progress!.batch).toBeGreaterThan(50)
          expect(Number(progress!.position)).toBe(progress!.messages)
        }
        expect(opens).toBe(1)
        await handle.terminate()
      })
    } finally {
      await env.teardown()
    }
  })

  it('hands its memo of stopped partitions on, neither written again nor left as it was once they are healthy', async () => {
    quiet()
    const env = await TestWorkflowEnvironment.createFromExistingServer({ address: part('temporal').address })
    // A few batches make the history long enough.
    const identity = 'x'.repeat(400_000)
    const activities = {
      open: async (input: OpenInput) => opened(input, '0', { identity }),
      process: async (input: BatchInput) => ({
        partitions: input.partitions.map((batch) =>
          batch.partition === 16 && batch.batch === 1
            ? worked(batch, 1, { end: 'blocked', reason: 'not JSON' })
            : worked(batch, 1),
        ),
      }),
    }
    try {
      await withWorker(env, activities, async (queue) => {
        const input = sliceInput(queue, [0, 16])
        const workflowId = sliceWorkflowId(input.name, input.slice)
        await env.client.workflow.start(workflowTypes.slice, { workflowId, taskQueue: queue, args: [input] })
        const handle = env.client.workflow.getHandle(workflowId)
        const nextRun = async (runId: string) => {
          const next = async () => handle.describe().then((look) => look.runId !== runId && look)
          const { memo, ...look } = await waitFor(next, { what: 'a new run', timeout: 60_000 })
          return { stopped: (memo as SliceMemo | undefined)?.stopped ?? [], runId: look.runId }
        }
        const first = await nextRun((await handle.describe()).runId)
        expect(first.stopped).toMatchObject([{ partition: 16, condition: 'blocked', reason: 'not JSON' }])
        // The run after it has begun with the same memo, and this one has written none.
        const second = await nextRun(first.runId)
        expect(second.stopped).toEqual(first.stopped)
        expect(await memoWrites(env, workflowId, first.runId)).toBe(0)

        await handle.signal(names.resume, {})
        const third = await nextRun(second.runId)
        expect(third.stopped).toEqual([])
        const fourth = await nextRun(third.runId)
        expect(fourth.stopped).toEqual([])
        expect(await memoWrites(env, workflowId, third.runId)).toBe(0)
        await handle.terminate()
      })
    } finally {
      await env.teardown()
    }
  })
})

/** How often a run has written its memo. Its history is too long to be fetched at once. */
async function memoWrites(env: TestWorkflowEnvironment, workflowId: string, runId: string): Promise<number> {
  let writes = 0
  let nextPageToken: Uint8Array | null | undefined
  do {
    const page = await env.client.workflowService.getWorkflowExecutionHistory({
      namespace: env.namespace ?? 'default',
      execution: { workflowId, runId },
      maximumPageSize: 10,
      ...(nextPageToken ? { nextPageToken } : {}),
    })
    writes += (page.history?.events ?? []).filter((event) => event.workflowPropertiesModifiedEventAttributes).length
    nextPageToken = page.nextPageToken
  } while (nextPageToken?.length)
  return writes
}
