import { expect, it } from 'vitest'
import type { CommitInput, NoteInput } from '../../src/model/batch.js'
import { names, type SliceStatus } from '../../src/model/commands.js'
import { sliceWorkflowId } from '../../src/model/partition.js'
import { describeWith } from '../support/parts.js'
import { realServer } from '../support/real-server.js'
import { waitFor } from '../support/wait-for.js'
import {
  type Activities,
  committed,
  groupInput,
  handled,
  memoryRecord,
  sliceInput,
  untilCancelled,
} from '../support/workflow-env.js'

const note = { by: 'ada', reason: 'look into it', since: '2026-01-01T00:00:00.000Z' }

/** What was committed: `partition:position`, in the order of this text. */
const positionsOf = (commits: readonly CommitInput[]) =>
  commits.flatMap(({ partitions }) => partitions.map((one) => `${one.partition}:${one.position}`)).sort()

/** Batches that have handled seven messages of each partition once they are asked to end. */
function sevenEach() {
  const commits: CommitInput[] = []
  const batches = { begun: 0 }
  const activities = {
    process: async (input) => {
      batches.begun++
      await untilCancelled()
      return handled(input, 7, { end: 'released' })
    },
    commit: async (input) => {
      commits.push(input)
      return committed(input)
    },
  } satisfies Partial<Activities>
  return { commits, batches, activities }
}

/*
 * What the buttons of the Temporal UI do to workflows. A workflow that swallows its cancellation loops without an await, and takes the whole
 * worker down with it: every other workflow of the task queue stops answering.
 */
describeWith(['temporal'], 'a person ends a workflow or an activity in Temporal', () => {
  const server = realServer()
  const statusOf = async (id: string) => (await server.client.workflow.getHandle(id).describe()).status.name
  const ended = (id: string) => async () => (await statusOf(id)) === 'CANCELLED'
  const lookAt = async (id: string) =>
    (await server.client.workflow.getHandle(id).query<SliceStatus>(names.status)).partitions

  async function startSlice(queue: string, partitions?: readonly number[]): Promise<string> {
    return (await server.startSlice(queue, sliceInput(queue, partitions))).workflowId
  }

  async function startGroup(queue: string) {
    const input = groupInput(queue)
    const { workflowId: id } = await server.startGroup(queue, input)
    return { id, sliceId: (slice: number) => sliceWorkflowId(input, slice) }
  }

  it('slice: ends after the chunks in hand, with their offsets committed, and other workflows go on', async () => {
    const { commits, batches, activities } = sevenEach()
    await server.withActivities(activities, async (queue) => {
      const [cancelled, other] = [await startSlice(queue, [0, 16]), await startSlice(queue)]
      await waitFor(() => batches.begun === 2, { what: 'both batches' })
      await server.client.workflow.getHandle(cancelled).cancel()
      await waitFor(ended(cancelled), { what: 'the workflow to end' })
      expect(commits.flatMap(({ partitions }) => partitions)).toMatchObject([
        { partition: 0, position: '7' },
        { partition: 16, position: '7' },
      ])
      expect(await lookAt(other)).toMatchObject([{ condition: 'healthy', place: 'slice' }])
      await server.client.workflow.getHandle(other).terminate()
    })
  })

  it('slice: ends while it is paused', async () => {
    await server.withActivities({}, async (queue) => {
      const id = await startSlice(queue)
      const handle = server.client.workflow.getHandle(id)
      await handle.signal(names.pause, { note })
      const paused = async () => {
        const [one] = await lookAt(id)
        return one?.paused && one.place === 'none'
      }
      await waitFor(paused, { what: 'a pause' })
      await handle.cancel()
      await waitFor(ended(id), { what: 'the workflow to end' })
    })
  })

  it('slice: ends while it is at rest', async () => {
    await server.withActivities({}, async (queue) => {
      const id = await startSlice(queue)
      const rests = async () => (await server.client.workflow.getHandle(id).describe()).memo?.rest !== undefined
      await waitFor(rests, { what: 'a rest' })
      await server.client.workflow.getHandle(id).cancel()
      await waitFor(ended(id), { what: 'the workflow to end' })
    })
  })

  it('slice: ends, with its offsets committed, while its batch lets go of one partition', async () => {
    const { commits, batches, activities } = sevenEach()
    await server.withActivities(activities, async (queue) => {
      const id = await startSlice(queue, [0, 16])
      const handle = server.client.workflow.getHandle(id)
      await waitFor(() => batches.begun === 1, { what: 'a batch' })
      await handle.signal(names.pause, { partitions: [16], note })
      const letsGo = async () => (await handle.describe()).memo?.letGo !== undefined
      await waitFor(letsGo, { what: 'the batch to be asked to let go' })
      await handle.cancel()
      await waitFor(ended(id), { what: 'the workflow to end' })
      expect(positionsOf(commits)).toEqual(['0:7', '16:7'])
      // A task that fails is tried again and again, and the workflow answers nothing meanwhile.
      const { events } = await handle.fetchHistory()
      expect(events?.filter((event) => event.workflowTaskFailedEventAttributes)).toEqual([])
    })
  })

  it('slice: ends, with its offsets committed, while a partition waits to join the next batch', async () => {
    const { commits, batches, activities } = sevenEach()
    await server.withActivities(activities, async (queue) => {
      const input = sliceInput(queue, [0, 16])
      const [first, second] = input.partitions
      // Batches that are about to end all the time.
      const timing = { heartbeatTimeoutMs: 10_000, batchMs: 250 }
      const { workflowId: id } = await server.startSlice(queue, {
        ...input,
        revision: { ...input.revision, timing },
        partitions: [first!, { ...second!, paused: note }],
      })
      const handle = server.client.workflow.getHandle(id)
      await waitFor(() => batches.begun === 1, { what: 'the batch of the other partition' })
      await handle.signal(names.resume, { partitions: [16] })
      await waitFor(async () => (await lookAt(id))[1]!.paused === null, { what: 'the end of the pause' })
      await handle.cancel()
      await waitFor(ended(id), { what: 'the workflow to end' })
      expect(positionsOf(commits)).toContain('0:7')
    })
  })

  it('group: writes down that it was stopped, waits until its slices have ended, and ends', async () => {
    const notes: NoteInput[] = []
    const { commits, batches, activities: work } = sevenEach()
    const record = memoryRecord([0, 1])
    let sliceId: (slice: number) => string = () => ''
    const activities: Partial<Activities> = {
      ...record,
      ...work,
      note: (input) => {
        notes.push(input)
        return record.note(input)
      },
      ended: async ({ slices }) => {
        const left = []
        for (const slice of slices) if ((await statusOf(sliceId(slice))) === 'RUNNING') left.push(slice)
        return left
      },
    }
    await server.withActivities(activities, async (queue) => {
      const group = await startGroup(queue)
      sliceId = group.sliceId
      await waitFor(() => batches.begun === 2, { what: 'the batches of both slices' })
      await server.client.workflow.getHandle(group.id).cancel()
      await waitFor(ended(group.id), { what: 'the group to end' })
      expect(notes).toMatchObject([{ what: 'stopped', by: 'Temporal' }])
      // They ended in good order: only the group was cancelled.
      expect(await Promise.all([0, 1].map((slice) => statusOf(sliceId(slice))))).toEqual(['COMPLETED', 'COMPLETED'])
      expect(positionsOf(commits)).toEqual(['0:7', '1:7'])
    })
  })

  it('group: is stopped also before it has read its record', async () => {
    const notes: NoteInput[] = []
    const record = memoryRecord([0])
    let looks = 0
    const activities: Partial<Activities> = {
      ...record,
      enroll: async (input) => {
        if (looks++ === 0) await untilCancelled()
        return record.enroll(input)
      },
      note: (input) => {
        notes.push(input)
        return record.note(input)
      },
    }
    await server.withActivities(activities, async (queue) => {
      const { id } = await startGroup(queue)
      await waitFor(() => looks > 0, { what: 'the group to read its record' })
      await server.client.workflow.getHandle(id).cancel()
      await waitFor(ended(id), { what: 'the group to end' })
      expect(notes).toMatchObject([{ what: 'stopped' }])
    })
  })

  it('group: waits for messages again when a person has failed its poll', async () => {
    let polls = 0
    const record = memoryRecord([0])
    const poll: Activities['poll'] = async () => {
      polls++
      await untilCancelled()
      return { added: [], missing: [], stopped: [] }
    }
    await server.withActivities({ ...record, poll }, async (queue) => {
      const { id } = await startGroup(queue)
      const handle = server.client.workflow.getHandle(id)
      await waitFor(() => polls === 1, { what: 'the poll' })
      const { runId, raw } = await handle.describe()
      const activity = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'poll')
      await server.client.workflowService.respondActivityTaskFailedById({
        namespace: server.client.options.namespace,
        workflowId: id,
        runId,
        activityId: activity!.activityId!,
        identity: 'ada',
        failure: { message: 'a person did', applicationFailureInfo: { nonRetryable: true } },
      })
      await waitFor(() => polls === 2, { what: 'the next poll' })
      await handle.terminate()
    })
  })
})
