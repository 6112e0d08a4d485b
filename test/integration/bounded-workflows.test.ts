import { Context } from '@temporalio/activity'
import { NativeConnection } from '@temporalio/worker'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BatchInput, DiscoverInput } from '../../src/model/batch.js'
import { type GroupStatus, names, type PartitionStatus, workflowTypes } from '../../src/model/commands.js'
import { groupWorkflowId, partitionWorkflowId } from '../../src/model/partition.js'
import { temporalClient } from '../support/consume.js'
import { describeWith, part } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { type Activities, groupInput, handled, revisionOn, workOn } from '../support/workflow-env.js'

// On the real server: the one that skips time loses an activity that completes while it is being cancelled.
describeWith(['temporal'], 'a bounded run', () => {
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

  interface Playing {
    result(): Promise<GroupStatus>
    ended(partition: number): Promise<boolean>
    status(partition: number): Promise<PartitionStatus>
    signal(partition: number, name: string, ...args: unknown[]): Promise<void>
    readonly queue: string
  }

  /** A group of two partitions that reads to a message. */
  async function play(activities: Partial<Activities>, test: (group: Playing) => Promise<void>): Promise<void> {
    const running = async (id: string) => (await client.workflow.getHandle(id).describe()).status.name === 'RUNNING'
    let input: ReturnType<typeof groupInput> | undefined
    const idOf = (partition: number) => partitionWorkflowId({ group: input!.group, stream: input!.stream, partition })
    const discover = async ({ known, verify }: DiscoverInput) => {
      if (!verify) await new Promise((resolve) => setTimeout(resolve, 100))
      const open = await Promise.all(known.map((partition) => running(idOf(partition))))
      return { partitions: [0, 1], missing: known.filter((_, index) => !open[index]) }
    }
    const server = { nativeConnection, namespace: part('temporal').namespace }
    await workOn(server, { discover, ...activities }, async (queue) => {
      input = { ...groupInput(queue), seen: [0, 1], revision: { ...revisionOn(queue), until: 'message' } }
      const handle = await client.workflow.start(workflowTypes.group, {
        workflowId: groupWorkflowId(input.group, input.stream),
        taskQueue: queue,
        args: [input],
      })
      await test({
        queue,
        result: () => handle.result(),
        ended: async (partition) => !(await running(idOf(partition))),
        status: (partition) => client.workflow.getHandle(idOf(partition)).query<PartitionStatus>(names.status),
        signal: (partition, name, ...args) => client.workflow.getHandle(idOf(partition)).signal(name, ...args),
      })
      await handle.terminate().catch(() => {})
      for (const partition of [0, 1])
        await client.workflow
          .getHandle(idOf(partition))
          .terminate()
          .catch(() => {})
    })
  }

  it('ends when every partition is at its end and has committed it, and tells where that was', async () => {
    const committed: string[] = []
    let release = () => {}
    const other = new Promise<void>((resolve) => {
      release = resolve
    })
    const activities: Partial<Activities> = {
      process: async (input: BatchInput) => {
        if (input.key.partition === 1) await other
        return handled(input, 10 * (input.key.partition + 1), { end: 'finished' })
      },
      commit: async ({ key, position }) => {
        committed.push(`${key.partition}:${position}`)
        return { committed: true }
      },
    }
    await play(activities, async ({ result, ended, status }) => {
      await waitFor(async () => (await status(0)).mode === 'finished', { what: 'the first to be at its end' })
      expect(await ended(0)).toBe(false)
      expect(committed).toEqual(['0:10'])
      release()
      const { reports } = await result()
      expect(committed).toEqual(['0:10', '1:20'])
      expect(reports.map(({ partition, mode, reason }) => [partition, mode, reason])).toEqual([
        [0, 'finished', 'read to 10, where the run ends'],
        [1, 'finished', 'read to 20, where the run ends'],
      ])
      // The next run starts workflows of these names.
      expect(await Promise.all([ended(0), ended(1)])).toEqual([true, true])
    })
  })

  it('goes on when its position is put elsewhere while it waits for the others', async () => {
    let stored = { position: '100', replay: 0 }
    const inputs: BatchInput[] = []
    const activities: Partial<Activities> = {
      open: async ({ above }) => ({ epoch: above + 1, ...stored }),
      process: async (input: BatchInput) => {
        if (input.key.partition === 1) return handled(input, 0, { end: 'idle' })
        inputs.push(input)
        return handled(input, 5, { end: 'finished' })
      },
      poll: async ({ position }) => {
        await Context.current().cancelled.catch(() => {})
        return { from: position, found: false }
      },
    }
    await play(activities, async ({ status, signal }) => {
      const finished = (position: string) =>
        waitFor(
          async () => (await status(0)).mode === 'finished' && (await status(0)).progress?.committed === position,
          {
            what: `the end at ${position}`,
          },
        )
      await finished('105')
      stored = { position: '20', replay: 1 }
      await signal(0, names.reopen)
      await finished('25')
    })
    expect(inputs.map(({ from, run, follows }) => [from, run?.began, follows])).toEqual([
      ['100', '100', false],
      ['20', '20', false],
    ])
  })

  it('goes on for ever when a config without an end is put in force', async () => {
    const froms: string[] = []
    const activities: Partial<Activities> = {
      process: async (input: BatchInput) => {
        froms.push(`${input.from} ${input.run?.until ?? 'for ever'}`)
        return input.run
          ? handled(input, 5, { end: 'finished' })
          : handled(input, 0, { end: 'stopped', blocked: 'enough' })
      },
      open: async ({ key, above }) => {
        if (key.partition === 1) await Context.current().cancelled
        return { epoch: above + 1, position: above === 0 ? '0' : '5', replay: 0 }
      },
    }
    await play(activities, async ({ status, signal, queue }) => {
      await waitFor(async () => (await status(0)).mode === 'finished', { what: 'the end' })
      await signal(0, names.configure, revisionOn(queue))
      await waitFor(async () => (await status(0)).reason === 'enough', { what: 'a batch without an end' })
    })
    expect(froms).toEqual(['0 message', '5 for ever'])
  })
})
