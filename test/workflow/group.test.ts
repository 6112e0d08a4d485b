import type { WorkflowHandle } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { BatchInput, DiscoverInput } from '../../src/model/batch.js'
import { type GroupStatus, names, type PartitionStatus, workflowTypes } from '../../src/model/commands.js'
import { groupWorkflowId, partitionWorkflowId } from '../../src/model/partition.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import {
  type Activities,
  answer,
  groupInput,
  handled,
  timeSkippingEnvironment,
  withWorker,
} from '../support/workflow-env.js'

describeWith(['timeSkipping'], 'group workflow', () => {
  let env: TestWorkflowEnvironment
  beforeEach(async () => {
    env = await timeSkippingEnvironment()
  })
  afterEach(() => env?.teardown())

  /** A stream whose partitions a test can change. */
  function stream(...initial: number[]) {
    const partitions = [...initial]
    const missing: number[] = []
    const discover = async ({ known, verify }: DiscoverInput) => {
      const news = () => partitions.some((partition) => !known.includes(partition))
      for (let looks = 0; looks < 20 && !news() && !verify; looks++)
        await new Promise((resolve) => setTimeout(resolve, 25))
      return { partitions: [...partitions], missing: verify ? missing.splice(0) : [] }
    }
    return { partitions, missing, activities: { discover } }
  }

  async function play(
    given: { readonly partitions: readonly number[]; readonly activities: Partial<Activities> },
    test: (group: Playing) => Promise<void>,
  ): Promise<void> {
    await withWorker(env, given.activities, async (queue) => {
      const input = groupInput(queue)
      const handle = await env.client.workflow.start(workflowTypes.group, {
        workflowId: groupWorkflowId(input.group, input.stream),
        taskQueue: queue,
        args: [input],
      })
      const partition = (index: number) => {
        const workflowId = partitionWorkflowId({ group: input.group, stream: input.stream, partition: index })
        return env.client.workflow.getHandle(workflowId)
      }
      const look = (index: number) => answer(env, () => partition(index).query<PartitionStatus>(names.status))
      const group = {
        handle,
        revision: input.revision,
        partition,
        status: () => answer(env, () => handle.query<GroupStatus>(names.status)),
        look,
        mode: async (index: number) => (await look(index)).mode,
      }
      await waitFor(async () => (await group.status()).partitions.length === given.partitions.length, {
        what: 'all partitions',
      })
      await test(group)
      for (const index of given.partitions) await partition(index).terminate()
      await handle.terminate()
    })
  }
  interface Playing {
    readonly handle: WorkflowHandle
    readonly revision: ReturnType<typeof groupInput>['revision']
    partition(index: number): WorkflowHandle
    status(): Promise<GroupStatus>
    look(index: number): Promise<PartitionStatus>
    mode(index: number): Promise<string>
  }

  async function configured(handle: WorkflowHandle, version: string): Promise<boolean> {
    const { events } = await handle.fetchHistory()
    const signals = (events ?? [])
      .map((event) => event.workflowExecutionSignaledEventAttributes)
      .filter((signal) => signal?.signalName === names.configure)
    return signals.some((signal) =>
      Buffer.from(signal?.input?.payloads?.[0]?.data ?? '')
        .toString()
        .includes(`"version":"${version}"`),
    )
  }

  it('hears of a partition that stops in the middle of a turn, and wakes it when a worker starts with the same config', async () => {
    const given = stream(0)
    let tries = 0
    const process = async (input: BatchInput) =>
      handled(input, 0, { end: 'stopped', blocked: `the message can't be decoded, try ${++tries}` })
    await play({ ...given, activities: { ...given.activities, process } }, async ({ handle, status, revision }) => {
      const reason = async () => (await status()).reports[0]?.reason
      await waitFor(async () => (await reason()) === "the message can't be decoded, try 1", { what: 'the report' })
      await handle.signal(names.configure, revision)
      await waitFor(async () => (await reason()) === "the message can't be decoded, try 2", { what: 'another try' })
    })
  })

  it('starts a workflow for each partition, and for those added later', async () => {
    const given = stream(0, 1)
    await play(given, async ({ status, mode }) => {
      given.partitions.push(2)
      await waitFor(async () => (await status()).partitions.length === 3, { what: 'the third partition' })
      expect(await mode(2)).toBe('running')
    })
  })

  it('pauses and resumes all of them, and an added one starts paused', async () => {
    const given = stream(0, 1)
    await play(given, async ({ handle, status, mode }) => {
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance' }] })
      given.partitions.push(2)
      await waitFor(async () => (await status()).partitions.length === 3, { what: 'the third partition' })
      for (const index of [0, 1, 2])
        await waitFor(async () => (await mode(index)) === 'paused', { what: `${index} to pause` })
      await handle.executeUpdate(names.resume, { args: [{}] })
      for (const index of [0, 1, 2])
        await waitFor(async () => (await mode(index)) === 'running', { what: `${index} to run` })
      expect((await status()).paused).toBeNull()
    })
  })

  it('pauses one partition alone, lists it, and refuses one that is not there', async () => {
    await play(stream(0, 1), async ({ handle, status, mode }) => {
      await handle.executeUpdate(names.pause, { args: [{ reason: 'look at it', partitions: [1] }] })
      await waitFor(async () => (await mode(1)) === 'paused', { what: 'partition 1 to pause' })
      expect(await mode(0)).toBe('running')
      expect((await status()).reports).toMatchObject([{ partition: 1, mode: 'paused', reason: 'look at it' }])
      const refused = handle.executeUpdate(names.pause, { args: [{ reason: '', partitions: [7] }] })
      await expect(refused).rejects.toMatchObject({
        cause: { message: 'orders has no partition 7; this group has 0 to 1' },
      })
    })
  })

  it('hands a new config on to every partition', async () => {
    await play(stream(0, 1), async ({ handle, revision, partition, look }) => {
      // Nobody here serves batches of the newer version, so the partitions shall be waiting for messages.
      for (const index of [0, 1])
        await waitFor(async () => (await look(index)).progress?.more === false, {
          what: `partition ${index} to wait`,
        })
      await handle.signal(names.configure, { ...revision, version: 'newer' })
      // Looked up in the histories: a query that meets a signal can hang on the test server.
      for (const index of [0, 1])
        await waitFor(() => configured(partition(index), 'newer'), { what: `partition ${index} to be told` })
    })
  })

  it('starts a partition again whose workflow is gone, when a worker starts', async () => {
    const given = stream(0, 1)
    await play(given, async ({ handle, revision, partition, mode }) => {
      const before = (await partition(1).describe()).runId
      await partition(1).terminate('by accident')
      given.missing.push(1)
      await handle.signal(names.configure, revision)
      await waitFor(async () => (await partition(1).describe()).runId !== before, { what: 'a new run' })
      expect(await mode(1)).toBe('running')
    })
  })

  it('gives partitions beyond 500 to shards, which pass commands on', async () => {
    await play(stream(0, 500, 1_000), async ({ handle, mode }) => {
      for (const index of [0, 500, 1_000])
        await waitFor(async () => (await mode(index)) === 'running', { what: `partition ${index}` })
      await handle.executeUpdate(names.pause, { args: [{ reason: 'all of them' }] })
      for (const index of [0, 500, 1_000])
        await waitFor(async () => (await mode(index)) === 'paused', { what: `partition ${index}` })
      const { workflowId } = handle
      for (const shard of [1, 2]) await env.client.workflow.getHandle(`${workflowId}/shard-${shard}`).terminate()
    })
  })
})
