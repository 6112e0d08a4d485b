import { Context } from '@temporalio/activity'
import { NativeConnection } from '@temporalio/worker'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BatchInput, CommitInput } from '../../src/model/batch.js'
import { names, type PartitionStatus, workflowTypes } from '../../src/model/commands.js'
import { groupWorkflowId, partitionWorkflowId } from '../../src/model/partition.js'
import { temporalClient } from '../support/consume.js'
import { describeWith, part } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { type Activities, groupInput, handled, partitionInput, workOn } from '../support/workflow-env.js'

/*
 * What the buttons of the Temporal UI do. A workflow that swallows its cancellation loops without an await, and takes the whole worker
 * down with it: every other workflow of the task queue stops answering.
 */
describeWith(['temporal'], 'a person cancels a workflow in Temporal', () => {
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
  const ended = (id: string) => async () => (await client.workflow.getHandle(id).describe()).status.name === 'CANCELLED'

  async function startPartition(queue: string): Promise<string> {
    const input = partitionInput(queue)
    const workflowId = partitionWorkflowId(input.key)
    await client.workflow.start(workflowTypes.partition, { workflowId, taskQueue: queue, args: [input] })
    return workflowId
  }

  it('partition: ends after the chunk in hand, with its offset committed, and other workflows go on', async () => {
    const committed: CommitInput[] = []
    let running = 0
    const activities = {
      process: async (input: BatchInput) => {
        running++
        const { cancellationSignal } = Context.current()
        while (!cancellationSignal.aborted) {
          Context.current().heartbeat()
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        return handled(input, 7, { end: 'stopped' })
      },
      commit: async (input: CommitInput) => {
        committed.push(input)
        return { committed: true as const }
      },
    }
    await withActivities(activities, async (queue) => {
      const [cancelled, other] = [await startPartition(queue), await startPartition(queue)]
      await waitFor(() => running === 2, { what: 'both batches' })
      await client.workflow.getHandle(cancelled).cancel()
      await waitFor(ended(cancelled), { what: 'the workflow to end' })
      expect(committed).toMatchObject([{ position: '7' }])
      const status = await client.workflow.getHandle(other).query<PartitionStatus>(names.status)
      expect(status.mode).toBe('running')
      await client.workflow.getHandle(other).terminate()
    })
  })

  it('partition: ends while it is paused', async () => {
    await withActivities({}, async (queue) => {
      const id = await startPartition(queue)
      const handle = client.workflow.getHandle(id)
      await handle.signal(names.pause, { reason: 'look into it' })
      await waitFor(async () => (await handle.query<PartitionStatus>(names.status)).mode === 'paused', {
        what: 'a pause',
      })
      await handle.cancel()
      await waitFor(ended(id), { what: 'the workflow to end' })
    })
  })

  it('group: ends', async () => {
    await withActivities({}, async (queue) => {
      const input = groupInput(queue)
      const workflowId = groupWorkflowId(input.group, input.stream)
      await client.workflow.start(workflowTypes.group, { workflowId, taskQueue: queue, args: [input] })
      const handle = client.workflow.getHandle(workflowId)
      await waitFor(() => handle.query(names.status), { what: 'an answer' })
      await handle.cancel()
      await waitFor(ended(workflowId), { what: 'the workflow to end' })
    })
  })
})
