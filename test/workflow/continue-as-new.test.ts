import { TestWorkflowEnvironment } from '@temporalio/testing'
import { expect, it } from 'vitest'
import type { BatchInput } from '../../src/model/batch.js'
import { names, type PartitionStatus, workflowTypes } from '../../src/model/commands.js'
import { partitionWorkflowId } from '../../src/model/partition.js'
import { describeWith, part } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { handled, partitionInput, quiet, withWorker } from '../support/workflow-env.js'

// On a real server: it is the one that says when a history is long enough.
describeWith(['temporal'], 'a long-lived partition', () => {
  it('carries its position, epoch and batch number over to a new run, and nothing is worked twice', async () => {
    quiet()
    const env = await TestWorkflowEnvironment.createFromExistingServer({ address: part('temporal').address })
    let batches = 0
    // A history is long enough by its events or by its bytes. These come sooner: each batch is told the log's identity.
    const identity = 'x'.repeat(30_000)
    const activities = {
      open: async ({ above }: { above: number }) => ({ epoch: above + 1, position: '0', replay: 0, identity }),
      poll: async ({ position }: { position: string }) => ({ from: position, found: true }),
      process: async (input: BatchInput) => {
        batches++
        expect(input.from).toBe(String(batches - 1))
        return handled(input, 1)
      },
    }
    try {
      await withWorker(env, activities, async (queue) => {
        const input = partitionInput(queue)
        const workflowId = partitionWorkflowId(input.key)
        const started = await env.client.workflow.start(workflowTypes.partition, {
          workflowId,
          taskQueue: queue,
          args: [input],
        })
        const handle = env.client.workflow.getHandle(workflowId)
        await waitFor(async () => (await handle.describe()).runId !== started.firstExecutionRunId, {
          what: 'a new run',
          timeout: 90_000,
        })
        const after = await waitFor(async () => (await handle.query<PartitionStatus>(names.status)).progress, {
          what: 'its status',
        })
        expect(after.epoch).toBe(1)
        expect(after.batch).toBeGreaterThan(100)
        expect(Number(after.position)).toBe(after.messages)
        await handle.terminate()
      })
    } finally {
      await env.teardown()
    }
  })
})
