import { Context } from '@temporalio/activity'
import type { WorkflowHandle } from '@temporalio/client'
import { expect, it } from 'vitest'
import type { BatchInput, OpenInput, PollInput, PollResult } from '../../src/model/batch.js'
import {
  type GroupInput,
  type GroupStatus,
  names,
  type PartitionStatus,
  type SliceStatus,
  workflowTypes,
} from '../../src/model/commands.js'
import { bySlice, groupWorkflowId, sliceOf, sliceWorkflowId } from '../../src/model/partition.js'
import type { Revision } from '../../src/model/revision.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import {
  type Activities,
  answer,
  groupInput,
  handled,
  memoryRecord,
  opened,
  skippingServer,
  withWorker,
} from '../support/workflow-env.js'

/** A stream and its group's record, both of which a test can change, and what the group's poll finds. */
function world(partitions: number[], slices = 2) {
  const news: Partial<PollResult>[] = []
  const polls = { begun: 0, running: 0 }
  const poll = async ({ partitions: known }: PollInput): Promise<PollResult> => {
    polls.begun++
    polls.running++
    const added = () => partitions.filter((partition) => !known.includes(partition))
    const { cancellationSignal, heartbeat } = Context.current()
    while (news.length === 0 && added().length === 0 && !cancellationSignal.aborted) {
      heartbeat()
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    polls.running--
    return { added: added(), missing: [], stopped: [], ...news.shift() }
  }
  return { partitions, slices, news, polls, activities: { ...memoryRecord(partitions, slices), poll } }
}

describeWith(['timeSkipping'], 'group workflow', () => {
  const server = skippingServer()

  interface LiveGroup {
    readonly handle: WorkflowHandle
    readonly revision: Revision
    /** Ends it, and starts it anew with another revision. Its slices outlive that. */
    startAnew(change: Partial<Revision>): Promise<void>
    slice(slice: number): WorkflowHandle
    status(): Promise<GroupStatus>
    /** The partitions that a slice owns. */
    owned(slice: number): Promise<number[]>
    partition(index: number): Promise<PartitionStatus>
    /** Waits until a partition looks like this. */
    until(index: number, what: string, looks: (partition: PartitionStatus) => boolean): Promise<PartitionStatus>
  }

  async function withGroup(
    { partitions, slices, activities }: ReturnType<typeof world>,
    test: (group: LiveGroup) => Promise<void>,
    given: { readonly activities?: Partial<Activities>; readonly change?: Partial<Revision> } = {},
  ): Promise<void> {
    await withWorker(server.env, { ...activities, ...given.activities }, async (queue) => {
      const input = groupInput(queue, given.change)
      const workflowId = groupWorkflowId(input.group, input.stream)
      const handle: WorkflowHandle = server.env.client.workflow.getHandle(workflowId)
      const start = (given: GroupInput) =>
        server.env.client.workflow.start(workflowTypes.group, { workflowId, taskQueue: queue, args: [given] })
      await start(input)
      const slice = (index: number) => server.env.client.workflow.getHandle(sliceWorkflowId(input, index))
      const look = (index: number) => answer(server.env, () => slice(index).query<SliceStatus>(names.status))
      const partition = async (index: number) =>
        (await look(sliceOf(index, slices))).partitions.find((one) => one.partition === index)!
      try {
        await test({
          handle,
          revision: input.revision,
          startAnew: async (change) => {
            await handle.terminate()
            await start({ ...input, revision: { ...input.revision, ...change } })
          },
          slice,
          status: () => answer(server.env, () => handle.query<GroupStatus>(names.status)),
          owned: async (index) => (await look(index)).partitions.map((one) => one.partition),
          partition,
          until: (index, what, looks) =>
            waitFor(() => partition(index).then((one) => looks(one) && one), { what: `partition ${index}: ${what}` }),
        })
      } finally {
        await handle.terminate().catch(() => {})
        for (const index of bySlice(partitions, slices).keys())
          await slice(index)
            .terminate()
            .catch(() => {})
      }
    })
  }
  const works = ({ progress }: PartitionStatus) => progress !== null

  it('gives each partition to the slice that its number says', async () => {
    await withGroup(world([0, 1, 2, 3, 4]), async ({ until, owned, status }) => {
      for (const index of [0, 1, 2, 3, 4]) await until(index, 'to be opened', works)
      expect(await owned(0)).toEqual([0, 2, 4])
      expect(await owned(1)).toEqual([1, 3])
      expect(await status()).toMatchObject({ partitions: [0, 1, 2, 3, 4], slices: 2, generation: 1, reports: [] })
    })
  })

  it('starts no slice without partitions', async () => {
    await withGroup(world([0, 3], 16), async ({ until, slice }) => {
      for (const index of [0, 3]) await until(index, 'to be opened', works)
      await expect(slice(1).describe()).rejects.toThrow()
    })
  })

  it('gives partitions that are added to slices, new ones and running ones, and says that they came later', async () => {
    const requests: OpenInput['partitions'][number][] = []
    const open = async (input: OpenInput) => {
      requests.push(...input.partitions)
      return opened(input)
    }
    const given = world([0])
    await withGroup(
      given,
      async ({ until, owned }) => {
        await until(0, 'to be opened', works)
        given.partitions.push(1, 2)
        await waitFor(async () => (await owned(0)).includes(2), { what: 'slice 0 to have partition 2' })
        for (const index of [1, 2]) await until(index, 'to be opened', works)
      },
      { activities: { open } },
    )
    const byPartition = [...requests].sort((a, b) => a.partition - b.partition)
    expect(byPartition).toEqual([
      { partition: 0, above: 0 },
      { partition: 1, above: 0, added: true },
      { partition: 2, above: 0, added: true },
    ])
  })

  it('pauses and resumes all of them, and an added one starts paused', async () => {
    const given = world([0, 1])
    await withGroup(given, async ({ handle, status, until }) => {
      for (const index of [0, 1]) await until(index, 'to be opened', works)
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance', by: 'anna@desk' }] })
      given.partitions.push(2)
      await waitFor(async () => (await status()).partitions.length === 3, { what: 'the third partition' })
      for (const index of [0, 1, 2])
        expect((await until(index, 'to pause', ({ paused }) => paused !== null)).paused).toMatchObject({
          reason: 'maintenance',
          by: 'anna@desk',
        })
      expect((await status()).pauses.group).toMatchObject({ reason: 'maintenance', by: 'anna@desk' })
      await handle.executeUpdate(names.resume, { args: [{}] })
      for (const index of [0, 1, 2])
        await until(index, 'to run', ({ paused, progress }) => paused === null && progress !== null)
      expect((await status()).pauses).toEqual({ group: null, partitions: [] })
    })
  })

  it('pauses one partition alone, and lists it', async () => {
    await withGroup(world([0, 1, 2]), async ({ handle, status, until, partition }) => {
      for (const index of [0, 1, 2]) await until(index, 'to be opened', works)
      await handle.executeUpdate(names.pause, { args: [{ reason: 'look at it', partitions: [2] }] })
      await until(2, 'to pause', ({ paused }) => paused?.reason === 'look at it')
      for (const index of [0, 1]) expect((await partition(index)).paused).toBeNull()
      expect((await status()).pauses).toMatchObject({
        group: null,
        partitions: [{ partition: 2, reason: 'look at it' }],
      })
    })
  })

  it('writes one decision down at a time, so that the answer to an older one never replaces a newer one', async () => {
    const given = world([0])
    let answer = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const notes: string[] = []
    const note: Activities['note'] = async (input) => {
      notes.push(input.what)
      const pauses = await given.activities.note(input)
      // The pause is written, and its answer is on the way when a person resumes the group.
      if (input.what === 'paused') await answered
      return pauses
    }
    await withGroup(
      given,
      async ({ handle, status, until }) => {
        await until(0, 'to be opened', works)
        const paused = handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance' }] })
        try {
          await waitFor(() => notes.length === 1, { what: 'the pause to be written down' })
          const resumed = await handle.startUpdate(names.resume, { args: [{}], waitForStage: 'ACCEPTED' })
          // What the workflow wants to be done at once is in its history together with the acceptance.
          const { events } = await handle.fetchHistory()
          const wanted = events!.filter(
            ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === 'note',
          )
          expect(wanted).toHaveLength(1)
          answer()
          await Promise.all([paused, resumed.result()])
        } finally {
          answer()
          await paused.catch(() => {})
        }
        expect(notes).toEqual(['paused', 'resumed'])
        expect((await status()).pauses).toEqual({ group: null, partitions: [] })
        await until(0, 'to run', (one) => one.paused === null)
      },
      { activities: { note } },
    )
  })

  it('refuses commands for a partition that is not there', async () => {
    await withGroup(world([0, 1]), async ({ handle, status }) => {
      await waitFor(async () => (await status()).partitions.length === 2, { what: 'the partitions' })
      const args = [{ reason: '', partitions: [7] }] as const
      for (const command of [names.pause, names.resume])
        await expect(handle.executeUpdate(command, { args: [...args] })).rejects.toMatchObject({
          cause: { message: 'orders has no partition 7; this group has 0, 1', type: 'UNKNOWN_PARTITION' },
        })
    })
  })

  it('refuses to resume single partitions while the whole group is paused', async () => {
    await withGroup(world([0, 1]), async ({ handle, until }) => {
      await until(1, 'to be opened', works)
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance' }] })
      const refused = handle.executeUpdate(names.resume, { args: [{ partitions: [1] }] })
      await expect(refused).rejects.toMatchObject({ cause: { type: 'GROUP_PAUSED' } })
      await until(1, 'to stay paused', ({ paused }) => paused?.reason === 'maintenance')
    })
  })

  it('hands a new config on to every slice', async () => {
    await withGroup(world([0, 1]), async ({ handle, revision, until, status }) => {
      for (const index of [0, 1]) await until(index, 'to be opened', works)
      await handle.signal(names.configure, { ...revision, version: 'newer' })
      for (const index of [0, 1]) await until(index, 'to be told', ({ version }) => version === 'newer')
      expect((await status()).revision.version).toBe('newer')
    })
  })

  it('hears of a partition that is blocked, and has it try again when a worker starts with the same config', async () => {
    let tries = 0
    const process = async (input: BatchInput) =>
      handled(input, 0, { end: 'blocked', reason: `the message can't be decoded, try ${++tries}` })
    await withGroup(
      world([0]),
      async ({ handle, status, revision }) => {
        const report = async () => (await status()).reports[0]
        await waitFor(async () => (await report())?.reason === "the message can't be decoded, try 1", {
          what: 'the report',
        })
        expect(await report()).toMatchObject({ partition: 0, condition: 'blocked' })
        await handle.signal(names.configure, revision)
        await waitFor(async () => (await report())?.reason === "the message can't be decoded, try 2", {
          what: 'another try',
        })
      },
      { activities: { process } },
    )
  })

  it('forgets the report of a partition that is healthy again', async () => {
    let mended = false
    const process = async (input: BatchInput) =>
      mended ? handled(input, 0, { end: 'rest' }) : handled(input, 0, { end: 'blocked', reason: 'not JSON' })
    await withGroup(
      world([0]),
      async ({ handle, status }) => {
        await waitFor(async () => (await status()).reports.length === 1, { what: 'the report' })
        mended = true
        await handle.executeUpdate(names.resume, { args: [{ partitions: [0] }] })
        await waitFor(async () => (await status()).reports.length === 0, { what: 'the report to go' })
      },
      { activities: { process } },
    )
  })

  it('has slices that begin, and those that get more partitions, work with the config that stands in', async () => {
    const given = world([0])
    await withGroup(
      given,
      async ({ handle, until }) => {
        await until(0, 'to wait for a worker', ({ version, place }) => version === '-of-nobody' && place === 'slice')
        await handle.signal(names.fallback, { wanted: '-of-nobody', version: '' })
        await until(0, 'the config that stands in', ({ version }) => version === '')
        given.partitions.push(1, 2)
        for (const index of [1, 2])
          expect((await until(index, 'to be opened', works)).version, `partition ${index}`).toBe('')
      },
      { change: { version: '-of-nobody' } },
    )
  })

  it('tells slices that outlive it which config is in force once it is started anew', async () => {
    await withGroup(world([0, 1]), async ({ startAnew, until }) => {
      for (const index of [0, 1]) await until(index, 'to be opened', works)
      await startAnew({ version: '-newer' })
      for (const index of [0, 1]) await until(index, 'the newer config', ({ version }) => version === '-newer')
    })
  })

  it('reaches all slices that run where one is gone', async () => {
    await withGroup(world([0, 1]), async ({ handle, until, slice }) => {
      for (const index of [0, 1]) await until(index, 'to be opened', works)
      await slice(0).terminate()
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance' }] })
      await until(1, 'to pause', ({ paused }) => paused?.reason === 'maintenance')
    })
  })

  it('starts a slice again whose workflow is gone', async () => {
    const given = world([0, 1])
    await withGroup(given, async ({ slice, until, status }) => {
      await until(1, 'to be opened', works)
      const before = (await slice(1).describe()).runId
      await slice(1).terminate('by accident')
      given.news.push({ missing: [1] })
      await waitFor(async () => (await slice(1).describe()).runId !== before, { what: 'a new run' })
      expect((await until(1, 'to be opened again', works)).paused).toBeNull()
      expect((await status()).pauses.partitions).toEqual([])
    })
  })

  it('keeps the partitions of a slice paused that a person has ended in Temporal, and says why', async () => {
    const given = world([0, 1, 3])
    await withGroup(given, async ({ handle, slice, until, status, partition }) => {
      for (const index of [0, 1, 3]) await until(index, 'to be opened', works)
      const before = (await slice(1).describe()).runId
      await slice(1).terminate('a person did')
      given.news.push({ stopped: [{ slice: 1, how: 'terminated' }] })
      await waitFor(async () => (await slice(1).describe()).runId !== before, { what: 'a new run' })
      for (const index of [1, 3]) {
        const { paused, progress } = await until(index, 'to be there', () => true)
        expect(paused).toMatchObject({ by: 'Temporal', reason: 'slice 1 was terminated in Temporal' })
        expect(progress).toBeNull()
      }
      expect((await partition(0)).paused).toBeNull()
      expect((await status()).pauses.partitions.map((one) => one.partition)).toEqual([1, 3])
      await handle.executeUpdate(names.resume, { args: [{ partitions: [1, 3] }] })
      for (const index of [1, 3]) await until(index, 'to be opened', works)
    })
  })

  it('runs one poll at a time, which commands and reports do not end', async () => {
    const given = world([0])
    await withGroup(given, async ({ handle, status, revision }) => {
      await waitFor(() => given.polls.running === 1, { what: 'the poll' })
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance' }] })
      await handle.executeUpdate(names.resume, { args: [{}] })
      await handle.signal(names.configure, { ...revision, startedBy: 'another worker' })
      await waitFor(async () => (await status()).revision.startedBy === 'another worker', { what: 'the config' })
      expect(given.polls).toEqual({ begun: 1, running: 1 })
      given.news.push({})
      await waitFor(() => given.polls.begun === 2, { what: 'the next poll' })
      expect(given.polls.running).toBe(1)
    })
  })

  it('does not run when its record says that a person has stopped it', async () => {
    const given = world([0])
    await given.activities.note({
      name: { group: 'any', stream: 'orders' },
      what: 'stopped',
      by: 'anna@desk',
      reason: 'anna@desk stopped the group',
    })
    await withGroup(given, async ({ handle, slice }) => {
      await expect(handle.result()).rejects.toMatchObject({
        cause: { type: 'STOPPED', message: 'anna@desk stopped the group' },
      })
      await expect(slice(0).describe()).rejects.toThrow()
    })
  })

  it('ends its slices when a person cancels it, and its record says that it was stopped', async () => {
    const given = world([0, 1])
    await withGroup(given, async ({ handle, slice, until }) => {
      for (const index of [0, 1]) await until(index, 'to be opened', works)
      await handle.cancel()
      await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } })
      for (const index of [0, 1])
        await waitFor(async () => (await slice(index).describe()).status.name === 'COMPLETED', { what: 'the end' })
      const name = { group: 'any', stream: 'orders' }
      expect((await given.activities.enroll({ name })).stopped).toBe('its workflow was cancelled in Temporal')
    })
  })

  it('ends with its slices when every partition is where a bounded run ends', async () => {
    const process = async (input: BatchInput) => handled(input, 10, { end: 'finished' })
    await withGroup(
      world([0, 1]),
      async ({ handle, slice }) => {
        const { reports } = (await handle.result()) as GroupStatus
        expect(reports).toMatchObject([
          { partition: 0, condition: 'finished', reason: 'read to 10, where the run ends' },
          { partition: 1, condition: 'finished', reason: 'read to 10, where the run ends' },
        ])
        for (const index of [0, 1])
          await waitFor(async () => (await slice(index).describe()).status.name === 'COMPLETED', { what: 'the end' })
      },
      { activities: { process }, change: { until: 'message' } },
    )
  })
})
