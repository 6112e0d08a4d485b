import { expect, it } from 'vitest'
import type { PartitionBatch } from '../../src/model/batch.js'
import { type GroupStatus, names, type PartitionStatus, type SliceStatus } from '../../src/model/commands.js'
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
  opened,
  revisionOn,
  untilCancelled,
  worked,
} from '../support/workflow-env.js'

// On the real server: the one that skips time loses an activity that completes while it is being cancelled.
describeWith(['temporal'], 'a bounded run', () => {
  const server = realServer()

  interface Playing {
    result(): Promise<GroupStatus>
    /** Whether the slice of this number, which has the partition of the same number, has ended. */
    ended(slice: number): Promise<boolean>
    status(partition: number): Promise<PartitionStatus>
    signal(slice: number, name: string, ...args: unknown[]): Promise<void>
    readonly queue: string
  }

  /** A group of two partitions that reads to a message. */
  async function play(
    activities: Partial<Activities>,
    test: (group: Playing) => Promise<void>,
    slices = 2,
  ): Promise<void> {
    let name = { group: '', stream: '' }
    const slice = (index: number) => server.client.workflow.getHandle(sliceWorkflowId(name, index))
    const running = async (index: number) => (await slice(index).describe()).status.name === 'RUNNING'
    const ended: Activities['ended'] = async ({ slices }) => {
      const left = await Promise.all(slices.map(running))
      return slices.filter((_, index) => left[index])
    }
    await server.withActivities({ ...memoryRecord([0, 1], slices), ended, ...activities }, async (queue) => {
      const input = groupInput(queue, { until: 'message' })
      name = { group: input.group, stream: input.stream }
      const handle = await server.startGroup(queue, input)
      await test({
        queue,
        result: () => handle.result(),
        ended: async (index) => !(await running(index)),
        status: async (partition) => {
          const { partitions } = await slice(partition % slices).query<SliceStatus>(names.status)
          return partitions.find((one) => one.partition === partition)!
        },
        signal: (index, signal, ...args) => slice(index).signal(signal, ...args),
      })
      await handle.terminate().catch(() => {})
      for (let index = 0; index < slices; index++)
        await slice(index)
          .terminate()
          .catch(() => {})
    })
  }

  it('ends when every partition is at its end and has committed it, and tells where that was', async () => {
    const commits: string[] = []
    let release = () => {}
    const other = new Promise<void>((resolve) => {
      release = resolve
    })
    const activities: Partial<Activities> = {
      process: async (input) => {
        const [{ partition }] = input.partitions as [PartitionBatch]
        if (partition === 1) await other
        return handled(input, 10 * (partition + 1), { end: 'finished' })
      },
      commit: async (input) => {
        commits.push(...input.partitions.map(({ partition, position }) => `${partition}:${position}`))
        return committed(input)
      },
    }
    await play(activities, async ({ result, ended, status }) => {
      await waitFor(async () => (await status(0)).condition === 'finished', { what: 'the first to be at its end' })
      expect(await ended(0)).toBe(false)
      expect(commits).toEqual(['0:10'])
      release()
      const { reports } = await result()
      expect(commits).toEqual(['0:10', '1:20'])
      expect(reports.map(({ partition, condition, reason }) => [partition, condition, reason])).toEqual([
        [0, 'finished', 'read to 10, where the run ends'],
        [1, 'finished', 'read to 20, where the run ends'],
      ])
      // The next run starts workflows of these names.
      expect(await Promise.all([ended(0), ended(1)])).toEqual([true, true])
    })
  })

  it('works on in a slice where some partitions are at their end and others are not', async () => {
    const batches: number[][] = []
    const commits: string[] = []
    const activities: Partial<Activities> = {
      process: async (input) => {
        batches.push(input.partitions.map(({ partition }) => partition))
        const last = batches.length === 3
        return {
          partitions: input.partitions.map((one) =>
            one.partition === 0 ? worked(one, 5, { end: 'finished' }) : worked(one, 5, last ? { end: 'finished' } : {}),
          ),
        }
      },
      commit: async (input) => {
        commits.push(...input.partitions.map(({ partition, position }) => `${partition}:${position}`))
        return committed(input)
      },
    }
    await play(
      activities,
      async ({ result }) => {
        const { reports } = await result()
        expect(reports.map(({ partition, reason }) => [partition, reason])).toEqual([
          [0, 'read to 5, where the run ends'],
          [1, 'read to 15, where the run ends'],
        ])
      },
      1,
    )
    expect(batches).toEqual([[0, 1], [1], [1]])
    expect(commits.filter((one) => one.startsWith('0:'))).toEqual(['0:5'])
    expect(commits.at(-1)).toBe('1:15')
  })

  it('goes on when its position is put elsewhere while it waits for the others', async () => {
    let stored = { position: '100', committed: '100', replay: 0 }
    const batches: PartitionBatch[] = []
    const activities: Partial<Activities> = {
      open: async (input) => opened(input, stored.position, stored),
      process: async (input) => {
        const [first] = input.partitions as [PartitionBatch]
        if (first.partition === 1) return handled(input, 0, { end: 'rest' })
        batches.push(first)
        return handled(input, 5, { end: 'finished' })
      },
    }
    await play(activities, async ({ status, signal }) => {
      const finished = (position: string) =>
        waitFor(
          async () => {
            const { condition, progress } = await status(0)
            return condition === 'finished' && progress?.committed === position
          },
          { what: `the end at ${position}` },
        )
      await finished('105')
      stored = { position: '20', committed: '20', replay: 1 }
      await signal(0, names.reopen, { partitions: [0] })
      await finished('25')
    })
    expect(batches.map(({ from, run, follows }) => [from, run?.began, follows])).toEqual([
      ['100', '100', false],
      ['20', '20', false],
    ])
  })

  it('goes on for ever when a config without an end is put in force', async () => {
    const froms: string[] = []
    const activities: Partial<Activities> = {
      process: async (input) => {
        const [{ from, run }] = input.partitions as [PartitionBatch]
        froms.push(`${from} ${run?.until ?? 'for ever'}`)
        return run ? handled(input, 5, { end: 'finished' }) : handled(input, 0, { end: 'blocked', reason: 'enough' })
      },
      open: async (input) => {
        const [{ partition, above }] = input.partitions as [(typeof input.partitions)[number]]
        if (partition === 1) await untilCancelled()
        return opened(input, above === 0 ? '0' : '5')
      },
    }
    await play(activities, async ({ status, signal, queue }) => {
      await waitFor(async () => (await status(0)).condition === 'finished', { what: 'the end' })
      await signal(0, names.configure, revisionOn(queue))
      await waitFor(async () => (await status(0)).reason === 'enough', { what: 'a batch without an end' })
    })
    expect(froms).toEqual(['0 message', '5 for ever'])
  })
})
