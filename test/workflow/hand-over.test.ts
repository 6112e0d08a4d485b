import { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { BatchInput, CommitInput } from '../../src/model/batch.js'
import {
  type GroupStatus,
  names,
  type PartitionStatus,
  type SliceStatus,
  workflowTypes,
} from '../../src/model/commands.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { TemporalCluster } from '../../src/temporal/cluster.js'
import { lookAtGroup } from '../../src/temporal/group-workflow.js'
import { StrandedWorkflows } from '../../src/temporal/stranded.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'
import {
  type Activities,
  committed,
  groupInput,
  handled,
  quiet,
  revisionOn,
  sliceInput,
  untilCancelled,
  withWorker,
} from '../support/workflow-env.js'

/** What a build's workers were asked. */
class Build {
  readonly batches: BatchInput[] = []
  readonly commits: CommitInput[] = []

  constructor(private readonly end: 'blocked' | 'released' = 'released') {}

  get activities(): Partial<Activities> {
    return {
      process: async (input) => {
        this.batches.push(input)
        if (this.end === 'blocked') return handled(input, 5, { end: 'blocked', reason: 'not JSON' })
        await untilCancelled()
        return handled(input, 5, { end: 'released' })
      },
      commit: async (input) => {
        this.commits.push(input)
        return committed(input)
      },
    }
  }
}

// On a real server: it knows of task queues, and of workflow tasks that nobody takes.
describeWith(['temporal'], 'workflows and another build of Tidemark', () => {
  let env: TestWorkflowEnvironment
  beforeAll(async () => {
    quiet()
    env = await TestWorkflowEnvironment.createFromExistingServer({ address: part('temporal').address })
  })
  afterAll(() => env?.teardown())

  const queueOf = async (id: string) => (await env.client.workflow.getHandle(id).describe()).taskQueue
  const onQueue = (id: string, queue: string) =>
    waitFor(async () => (await queueOf(id)) === queue, { what: `${id} on ${queue}` })
  const partitionOf = async (id: string): Promise<PartitionStatus> =>
    (await env.client.workflow.getHandle(id).query<SliceStatus>(names.status)).partitions[0]!
  const isIn = (id: string, condition: string) =>
    waitFor(async () => (await partitionOf(id)).condition === condition, { what: `a partition that is ${condition}` })

  it('continue on its queue once their batches are done and committed, with nothing worked twice', async () => {
    const [before, after] = [new Build(), new Build()]
    await withWorker(env, before.activities, (old) =>
      withWorker(env, after.activities, async (queue) => {
        const input = groupInput(old)
        const [id, sliceId] = [groupWorkflowId(input.group, input.stream), sliceWorkflowId(input, 0)]
        const group = await env.client.workflow.start(workflowTypes.group, {
          workflowId: id,
          taskQueue: old,
          args: [input],
        })
        await waitFor(() => before.batches.length === 1, { what: 'a batch' })
        await group.signal(names.configure, { ...revisionOn(queue), startedBy: 'another build' })
        await Promise.all([id, sliceId].map((one) => onQueue(one, queue)))
        await waitFor(() => after.batches.length === 1, { what: 'the next batch' })
        const next = { partition: 0, from: '5', epoch: 1, batch: 2 }
        expect(after.batches[0]!.partitions).toMatchObject([next])
        expect([before.batches.length, before.commits.length]).toEqual([1, 1])
        const status = await env.client.workflow.getHandle(id).query<GroupStatus>(names.status)
        expect(status.revision.startedBy).toBe('another build')
        for (const one of [id, sliceId]) await env.client.workflow.getHandle(one).terminate()
      }),
    )
  })

  it('stay when their own build is put in force again before they have gone', async () => {
    const build = new Build()
    await withWorker(env, build.activities, async (queue) => {
      const input = sliceInput(queue)
      const id = sliceWorkflowId(input.name, 0)
      const slice = await env.client.workflow.start(workflowTypes.slice, {
        workflowId: id,
        taskQueue: queue,
        args: [input],
      })
      await waitFor(() => build.batches.length === 1, { what: 'a batch' })
      await slice.signal(names.configure, revisionOn('nobody/workflows@x', 'v2'))
      await slice.signal(names.configure, revisionOn(queue))
      await waitFor(() => build.batches.length === 2, { what: 'the next batch' })
      expect(await queueOf(id)).toBe(queue)
      await slice.terminate()
    })
  })

  it('try what is blocked again there, and the group hears of it', async () => {
    const [before, after] = [new Build('blocked'), new Build()]
    await withWorker(env, before.activities, (old) =>
      withWorker(env, after.activities, async (queue) => {
        const input = groupInput(old)
        const [id, sliceId] = [groupWorkflowId(input.group, input.stream), sliceWorkflowId(input, 0)]
        const group = await env.client.workflow.start(workflowTypes.group, {
          workflowId: id,
          taskQueue: old,
          args: [input],
        })
        const reports = async () =>
          (await env.client.workflow.getHandle(id).query<GroupStatus>(names.status)).reports.map(
            ({ condition }) => condition,
          )
        await waitFor(async () => String(await reports()) === 'blocked', { what: 'the report' })
        await group.signal(names.configure, revisionOn(queue, 'v2'))
        await onQueue(sliceId, queue)
        await isIn(sliceId, 'healthy')
        await waitFor(async () => (await reports()).length === 0, { what: 'the report of its end' })
        for (const one of [id, sliceId]) await env.client.workflow.getHandle(one).terminate()
      }),
    )
  })

  it('are ended for it where no worker is left, which counts as no stop by a person', async () => {
    const deployment = unique('queue')
    const queue = `${deployment}/workflows@new`
    const input = groupInput(queue)
    const id = groupWorkflowId(input.group, input.stream)
    const start = { workflowId: id, taskQueue: `${deployment}/workflows@old`, args: [input] as [typeof input] }
    await env.client.workflow.start(workflowTypes.group, start)
    // Workers that were just started may be about to take it.
    const stranded = new StrandedWorkflows(env.client)
    const ended = () => stranded.end(id, queue)
    expect(await ended()).toBe(false)
    // Nor may a clock that is ahead of Temporal's decide.
    const { now } = Date
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
    expect(await ended().finally(() => vi.restoreAllMocks())).toBe(false)
    await waitFor(ended, { what: 'its end', timeout: 30_000 })
    expect(await lookAtGroup(env.client, input)).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('Tidemark has ended its workflow: no worker is left that has its code'),
    })
    expect(await new TemporalCluster(env.client).look(id)).toMatchObject({ status: 'ended' })

    await env.client.workflow.start(workflowTypes.group, start)
    await env.client.workflow.getHandle(id).terminate()
    expect(await lookAtGroup(env.client, input)).toMatchObject({ state: 'terminated' })
    expect(await new TemporalCluster(env.client).look(id)).toMatchObject({ status: 'terminated' })
  })

  it('are left alone where they are of its own queue, or of another deployment', async () => {
    const deployment = unique('queue')
    const input = groupInput('')
    const id = groupWorkflowId(input.group, input.stream)
    const queue = `${deployment}/workflows@a`
    await env.client.workflow.start(workflowTypes.group, { workflowId: id, taskQueue: queue, args: [input] })
    const stranded = new StrandedWorkflows(env.client)
    const others = [queue, `${unique('queue')}/workflows@b`]
    const ended = async () => {
      for (const other of others) expect(await stranded.end(id, other)).toBe(false)
      return stranded.end(id, `${deployment}/workflows@b`)
    }
    await waitFor(ended, { what: 'its end for the other build', timeout: 30_000 })
  })
})
