import { Context } from '@temporalio/activity'
import type { WorkflowHandle } from '@temporalio/client'
import { expect, it } from 'vitest'
import type { BatchInput, OpenInput, ResliceInput } from '../../src/model/batch.js'
import { type GroupStatus, names, type Resliced, type SliceStatus, workflowTypes } from '../../src/model/commands.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
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
  untilCancelled,
  withWorker,
} from '../support/workflow-env.js'

describeWith(['timeSkipping'], 'reslicing', () => {
  const server = skippingServer()

  interface LiveGroup {
    readonly handle: WorkflowHandle
    status(): Promise<GroupStatus>
    /** The slices that run, with their partitions: `0: 0 2, 1: 1 3`. */
    layout(): Promise<string>
    until(what: string, layout: string): Promise<void>
    reslice(slices: number): Promise<Resliced>
    pause(...partitions: number[]): Promise<unknown>
  }

  /** A group of two slices, whose batches last until their slice asks for their end. */
  class Ground {
    readonly opens: OpenInput['partitions'][number][] = []
    readonly written: ResliceInput[] = []
    /** Partitions in the hands of a batch, and those that two batches had at a time. */
    readonly inHand = new Set<number>()
    readonly twice: number[] = []
    /** Keeps the batches of the old slices from ending. */
    held = false
    readonly #record

    constructor(readonly partitions: number[]) {
      this.#record = memoryRecord(partitions, 2)
    }

    get activities(): Partial<Activities> {
      return {
        ...this.#record,
        open: async (input) => {
          this.opens.push(...input.partitions)
          return opened(input)
        },
        process: (input) => this.#process(input),
        ended: async ({ name, slices }) => {
          const looks = slices.map((slice) =>
            server.env.client.workflow.getHandle(sliceWorkflowId(name, slice)).describe(),
          )
          const running = (await Promise.all(looks)).map(({ status }) => status.name === 'RUNNING')
          await new Promise((resolve) => setTimeout(resolve, 50))
          return slices.filter((_, index) => running[index])
        },
        reslice: async (input) => {
          this.written.push(input)
          return this.#record.reslice(input)
        },
        poll: async ({ partitions: known }) => {
          const added = () => this.partitions.filter((partition) => !known.includes(partition))
          const { cancellationSignal, heartbeat } = Context.current()
          while (added().length === 0 && !cancellationSignal.aborted) {
            heartbeat()
            await new Promise((resolve) => setTimeout(resolve, 25))
          }
          return { added: added(), missing: [], stopped: [] }
        },
      }
    }

    async #process(input: BatchInput) {
      const theirs = input.partitions.map(({ partition }) => partition)
      this.twice.push(...theirs.filter((partition) => this.inHand.has(partition)))
      for (const partition of theirs) this.inHand.add(partition)
      await untilCancelled()
      while (this.held) {
        Context.current().heartbeat()
        await new Promise((resolve) => setTimeout(resolve, 25))
      }
      for (const partition of theirs) this.inHand.delete(partition)
      return handled(input, 5, { end: 'released' })
    }
  }

  async function withGroup(ground: Ground, test: (group: LiveGroup) => Promise<void>, change: Partial<Revision> = {}) {
    await withWorker(server.env, ground.activities, async (queue) => {
      const input = groupInput(queue, change)
      const handle = await server.env.client.workflow.start(workflowTypes.group, {
        workflowId: groupWorkflowId(input.group, input.stream),
        taskQueue: queue,
        args: [input],
        followRuns: true,
      })
      const current = server.env.client.workflow.getHandle(handle.workflowId)
      const all = [0, 1, 2, 3].map((slice) => server.env.client.workflow.getHandle(sliceWorkflowId(input, slice)))
      const owned = async (slice: WorkflowHandle): Promise<number[]> => {
        const running = await slice.describe().then(
          ({ status }) => status.name === 'RUNNING',
          () => false,
        )
        if (!running) return []
        const { partitions } = await answer(server.env, () => slice.query<SliceStatus>(names.status))
        return partitions.map(({ partition }) => partition).sort((a, b) => a - b)
      }
      const layout = async () =>
        (await Promise.all(all.map(owned)))
          .flatMap((theirs, slice) => (theirs.length > 0 ? [`${slice}: ${theirs.join(' ')}`] : []))
          .join(', ')
      try {
        await test({
          handle: current,
          status: () => answer(server.env, () => current.query<GroupStatus>(names.status)),
          layout,
          until: async (what, wanted) => {
            await waitFor(async () => (await layout()) === wanted, { what: `${what}: ${wanted}` })
          },
          reslice: (slices) =>
            current.executeUpdate<Resliced, [object]>(names.reslice, {
              args: [{ slices, by: 'anna@desk', reason: 'more partitions' }],
            }),
          pause: (...partitions) =>
            current.executeUpdate(names.pause, { args: [{ reason: 'look at it', by: 'anna@desk', partitions }] }),
        })
      } finally {
        ground.held = false
        for (const one of [current, ...all]) await one.terminate().catch(() => {})
      }
    })
  }

  /** How many updates the group has taken on. */
  async function accepted(group: WorkflowHandle): Promise<number> {
    const { events } = await group.fetchHistory()
    return events!.filter(({ workflowExecutionUpdateAcceptedEventAttributes: update }) => update).length
  }

  const busy = (ground: Ground, count: number) =>
    waitFor(() => ground.inHand.size === count, { what: `${count} partitions in hand` })

  it('gives all partitions to other slices, once the old ones have let go of them', async () => {
    const ground = new Ground([0, 1, 2, 3, 4, 5])
    await withGroup(ground, async ({ reslice, until, status }) => {
      await busy(ground, 6)
      expect(await reslice(3)).toMatchObject({ partitions: [0, 1, 2, 3, 4, 5], before: 2, slices: 3, generation: 2 })
      await until('three slices', '0: 0 3, 1: 1 4, 2: 2 5')
      await busy(ground, 6)
      expect(await status()).toMatchObject({ partitions: [0, 1, 2, 3, 4, 5], slices: 3, generation: 2 })
      expect(await reslice(1)).toMatchObject({ before: 3, slices: 1, generation: 3 })
      await until('one slice', '0: 0 1 2 3 4 5')
      await busy(ground, 6)
    })
    expect(ground.twice).toEqual([])
    expect(ground.opens.filter(({ added }) => added)).toEqual([])
    expect(ground.written).toMatchObject([
      { from: 1, slices: 3, by: 'anna@desk', reason: 'more partitions' },
      { from: 2, slices: 1 },
    ])
  })

  it('starts no new slice, and writes nothing, while an old one holds a chunk', async () => {
    const ground = new Ground([0, 1, 2, 3])
    ground.held = true
    await withGroup(ground, async ({ reslice, layout, until, handle }) => {
      await busy(ground, 4)
      const asked = reslice(4)
      const draining = async () =>
        (await handle.fetchHistory()).events!.some(
          ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === 'ended',
        )
      await waitFor(draining, { what: 'the slices to be told' })
      expect(await layout()).toBe('0: 0 2, 1: 1 3')
      expect(ground.written).toEqual([])
      ground.held = false
      await asked
      await until('four slices', '0: 0, 1: 1, 2: 2, 3: 3')
    })
    expect(ground.twice).toEqual([])
  })

  it('leaves what is paused paused, also when the pause came while the slices were ending', async () => {
    const ground = new Ground([0, 1, 2, 3])
    ground.held = true
    await withGroup(ground, async ({ reslice, pause, status }) => {
      await busy(ground, 4)
      await pause(1)
      const asked = reslice(4)
      await pause(2)
      ground.held = false
      await asked
      await waitFor(async () => (await status()).generation === 2, { what: 'the new run' })
      await busy(ground, 2)
      expect([...ground.inHand].sort()).toEqual([0, 3])
      expect((await status()).pauses.partitions.map(({ partition }) => partition)).toEqual([1, 2])
      await pause(3)
      await busy(ground, 1)
    })
  })

  it('changes nothing when the group has so many slices already', async () => {
    const ground = new Ground([0, 1])
    await withGroup(ground, async ({ reslice, handle }) => {
      await busy(ground, 2)
      const { runId } = await handle.describe()
      expect(await reslice(2)).toMatchObject({ before: 2, slices: 2, generation: 1 })
      expect(ground.inHand.size).toBe(2)
      expect((await handle.describe()).runId).toBe(runId)
    })
    expect(ground.written).toEqual([])
  })

  it('is done once for two people who ask for the same, and refuses a third who wants something else meanwhile', async () => {
    const ground = new Ground([0, 1, 2])
    ground.held = true
    await withGroup(ground, async ({ reslice, handle }) => {
      await busy(ground, 3)
      const both = [reslice(3), reslice(3)]
      // Otherwise the third may come first.
      await waitFor(async () => (await accepted(handle)) === both.length, { what: 'both to be accepted' })
      await waitFor(async () => reslice(4).catch(({ cause }) => cause.type === 'GROUP_ACTIVE'), { what: 'a refusal' })
      ground.held = false
      const [first, second] = await Promise.all(both)
      expect(first).toMatchObject({ before: 2, slices: 3, generation: 2 })
      expect(second).toEqual(first)
    })
    expect(ground.written).toHaveLength(1)
  })

  it('still begins an added partition at its first message that was not opened before', async () => {
    const ground = new Ground([0])
    await withGroup(ground, async ({ handle, reslice, until }) => {
      await busy(ground, 1)
      await handle.executeUpdate(names.pause, { args: [{ reason: 'maintenance' }] })
      ground.partitions.push(1)
      await until('the added partition', '0: 0, 1: 1')
      await reslice(1)
      await until('one slice', '0: 0 1')
      await handle.executeUpdate(names.resume, { args: [{}] })
      await busy(ground, 2)
    })
    expect(ground.opens.filter(({ partition }) => partition === 1)).toEqual([{ partition: 1, above: 0, added: true }])
  })

  it('does not believe what a slice says that has ended with the old generation', async () => {
    const ground = new Ground([0, 1])
    await withGroup(ground, async ({ handle, reslice, status }) => {
      await busy(ground, 2)
      await reslice(1)
      await waitFor(async () => (await status()).generation === 2, { what: 'the new run' })
      const report = { partition: 1, condition: 'blocked', reason: 'it is not JSON', since: '' }
      await handle.signal(names.report, { slice: 1, generation: 1, partitions: [report] })
      await handle.signal(names.report, { slice: 0, generation: 2, partitions: [{ ...report, partition: 0 }] })
      await waitFor(async () => (await status()).reports.length > 0, { what: 'a report' })
      expect((await status()).reports.map(({ partition }) => partition)).toEqual([0])
    })
  })

  it.each([
    ['a bounded run', 3, { until: 'message' as const }, 'GROUP_ACTIVE'],
    ['no slices', 0, {}, 'CONFIG_INVALID'],
    ['half a slice', 1.5, {}, 'CONFIG_INVALID'],
  ])('refuses %s', async (_, slices, change, type) => {
    const ground = new Ground([0, 1])
    await withGroup(
      ground,
      async ({ reslice }) => {
        await busy(ground, 2)
        await expect(reslice(slices)).rejects.toMatchObject({ cause: { type } })
        expect(ground.inHand.size).toBe(2)
      },
      change,
    )
  })
})
