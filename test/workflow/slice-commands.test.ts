import type { WorkflowHandle } from '@temporalio/client'
import { expect, it } from 'vitest'
import type { BatchInput, CommitInput, OpenInput } from '../../src/model/batch.js'
import { names } from '../../src/model/commands.js'
import { type TakenBatch, withSlice } from '../support/live-slice.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { committed, opened, revisionOn, skippingServer } from '../support/workflow-env.js'

const note = { by: 'anna@desk', reason: 'bad deploy', since: '2026-01-02T00:00:00.000Z' }

/** The batches that a slice has handed out, by its history. */
async function batchesOf(handle: WorkflowHandle): Promise<{ readonly queue: string; readonly input: BatchInput }[]> {
  const { events } = await handle.fetchHistory()
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => {
    if (scheduled?.activityType?.name !== 'process') return []
    const input = Buffer.from(scheduled.input?.payloads?.[0]?.data ?? '').toString()
    return [{ queue: scheduled.taskQueue?.name ?? '', input: JSON.parse(input) as BatchInput }]
  })
}

describeWith(['timeSkipping'], 'slice workflow: what people and workers ask of it', () => {
  const server = skippingServer()

  it('takes a paused partition out of the batch under way, which goes on with its neighbours', async () => {
    await withSlice(
      server.env,
      { partitions: [0, 1] },
      async ({ batch, handle, memo, partition, until, untilCommitted }) => {
        const first = await batch()
        await handle.signal(names.pause, { partitions: [1], note })
        await waitFor(async () => (await memo()).letGo?.['1'], { what: 'the wish to let go' })
        expect((await memo()).letGo).toEqual({ 1: [1, 1] })
        expect((await partition(1)).place).toBe('slice')
        await handle.signal(names.leave, [first.outcome(1, 7, { end: 'released' })])
        expect((await until(1, 'partition 1 to be let go', ({ place }) => place === 'none')).paused).toEqual(note)
        await untilCommitted(1, '7')
        expect(first.cancelled).toBe(false)
        first.answerWith(first.outcome(0, 10))
        const second = await batch()
        expect(second.partitions).toBe('0')
      },
    )
  })

  it('names all partitions that a batch has let go of, as long as another try of it could take them back', async () => {
    await withSlice(server.env, { partitions: [0, 1, 2, 3] }, async ({ batch, handle, memo, until }) => {
      const letGo = async (batch: TakenBatch, partition: number) => {
        await handle.signal(names.pause, { partitions: [partition], note })
        await waitFor(async () => (await memo()).letGo?.[partition], { what: 'the wish to let go' })
        await handle.signal(names.leave, [batch.outcome(partition, 7, { end: 'released' })])
        await until(partition, 'to be let go', ({ place }) => place === 'none')
      }
      const first = await batch()
      await letGo(first, 1)
      await letGo(first, 2)
      expect((await memo()).letGo).toEqual({ 1: [1, 1], 2: [1, 1] })
      first.answerWith(first.outcome(0, 10), first.outcome(3, 10))
      const second = await batch()
      await letGo(second, 3)
      expect((await memo()).letGo).toEqual({ 3: [1, 2] })
      // That they have left says nothing new. Each change of a memo is billed.
      const { events } = await handle.fetchHistory()
      const changes = events!.map((event) => event.workflowPropertiesModifiedEventAttributes?.upsertedMemo?.fields)
      expect(changes.filter((fields) => fields?.letGo)).toHaveLength(3)
    })
  })

  it.each(['failed', 'blocked'] as const)(
    'forgets the error of a paused partition that left its batch as %s',
    async (end) => {
      await withSlice(server.env, { partitions: [0, 1] }, async ({ batch, handle, until }) => {
        const first = await batch()
        await handle.signal(names.pause, { partitions: [1], note })
        await handle.signal(names.leave, [first.outcome(1, 7, { end, reason: 'no such account' })])
        const left = await until(1, 'partition 1 to be let go', ({ place }) => place === 'none')
        expect(left).toMatchObject({ condition: 'healthy', reason: '', paused: note, progress: { position: '7' } })
        expect(first.cancelled).toBe(false)
      })
    },
  )

  it.each([
    ['that can be opened', (input: OpenInput) => opened(input)],
    [
      'that can not be opened',
      (input: OpenInput) =>
        opened(input).map((owned) =>
          owned.partition === 1 ? { partition: 1, outcome: 'blocked' as const, reason: 'no such partition' } : owned,
        ),
    ],
  ])('keeps a partition %s out of the batch where the pause comes while it is opened', async (_, answerOf) => {
    let answer = () => {}
    const asked = new Promise<void>((resolve) => {
      answer = resolve
    })
    let openings = 0
    const open = async (input: OpenInput) => {
      openings++
      await asked
      return answerOf(input)
    }
    await withSlice(
      server.env,
      { partitions: [0, 1], activities: { open } },
      async ({ batch, handle, partition, until }) => {
        await waitFor(() => openings === 1, { what: 'the opening' })
        await handle.signal(names.pause, { partitions: [1], note })
        expect(await until(1, 'the pause', ({ paused }) => paused !== null)).toMatchObject({ place: 'slice' })
        answer()
        expect((await batch()).partitions).toBe('0')
        expect(await partition(1)).toMatchObject({ place: 'none', condition: 'healthy', reason: '', paused: note })
      },
    )
  })

  it('gives a partition that is resumed a batch of its own, which ends together with the one under way', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch, handle, partition, until, revision }) => {
      const first = await batch()
      await handle.signal(names.pause, { partitions: [1], note })
      await handle.signal(names.leave, [first.outcome(1, 7, { end: 'released' })])
      await until(1, 'partition 1 to be let go', ({ place }) => place === 'none')
      await handle.signal(names.resume, { partitions: [1] })
      const late = await batch()
      expect(late.input.partitions).toMatchObject([{ partition: 1, from: '7', epoch: 1, batch: 2 }])
      expect(late.input.apart).toBeUndefined()
      expect(late.input.closesInMs).toBeGreaterThan(0)
      expect(late.input.closesInMs).toBeLessThan(revision.timing.batchMs)
      expect((await partition(1)).place).toBe('slice')
      late.answer(1)
      first.answerWith(first.outcome(0, 10))
    })
  })

  it('joins partitions again whose batches end together', async () => {
    const change = (queue: string) => {
      const revision = revisionOn(queue)
      return { revision: { ...revision, timing: { ...revision.timing, batchMs: 6_000 } } }
    }
    await withSlice(server.env, { partitions: [0, 1], change }, async ({ batch, handle, until }) => {
      const first = await batch()
      await handle.signal(names.pause, { partitions: [1], note })
      await handle.signal(names.leave, [first.outcome(1, 7, { end: 'released' })])
      await until(1, 'partition 1 to be let go', ({ place }) => place === 'none')
      await handle.signal(names.resume, { partitions: [1] })
      const late = await batch()
      // The workflow's clock says when the batches are due to end; the test's server lets it pass as it is.
      await new Promise((resolve) => setTimeout(resolve, late.input.closesInMs! - 150))
      first.answerWith(first.outcome(0, 10))
      await until(0, 'the end of its batch', ({ place }) => place === 'none')
      late.answer(1)
      expect((await batch()).partitions).toBe('0, 1')
    })
  })

  it('cancels the batch when all its partitions are paused, and continues from where it came', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch, handle, taken, partition, untilCommitted }) => {
      const first = await batch()
      await handle.signal(names.pause, { note })
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      first.answer(7, { end: 'released' })
      await untilCommitted(0, '7')
      await untilCommitted(1, '7')
      expect(await partition(0)).toMatchObject({ paused: note, condition: 'healthy', place: 'none' })
      expect(taken.length).toBe(1)
      await handle.signal(names.resume, {})
      const second = await batch()
      expect(second.input.partitions).toMatchObject([
        { from: '7', epoch: 1, batch: 2 },
        { from: '7', epoch: 1, batch: 2 },
      ])
    })
  })

  it('begins nothing of a partition that is paused while it is opened', async () => {
    let answer = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    let opens = 0
    const open = async (input: OpenInput) => {
      opens++
      await answered
      return opened(input)
    }
    await withSlice(server.env, { partitions: [0, 1], activities: { open } }, async ({ batch, handle, partition }) => {
      await waitFor(() => opens === 1, { what: 'its partitions to be opened' })
      await handle.signal(names.pause, { partitions: [1], note })
      answer()
      expect((await batch()).partitions).toBe('0')
      expect(await partition(1)).toMatchObject({ paused: note, place: 'none' })
    })
  })

  it.each([
    ['an older position', (input: OpenInput) => opened(input, '3')],
    [
      'that it can not be opened',
      (input: OpenInput) =>
        opened(input, '3').map((owned) =>
          owned.partition === 1 ? { partition: 1, outcome: 'blocked' as const, reason: 'offset 3 is gone' } : owned,
        ),
    ],
  ])('opens a partition again that was moved while it was opened, though the answer was %s', async (_, answerOf) => {
    let answer = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const asked: string[] = []
    const open = async (input: OpenInput) => {
      asked.push(input.partitions.map(({ partition }) => partition).join(', '))
      if (asked.length > 1) return opened(input, '7')
      await answered
      return answerOf(input)
    }
    await withSlice(server.env, { partitions: [0, 1], activities: { open } }, async ({ batch, handle, partition }) => {
      await waitFor(() => asked.length === 1, { what: 'the first opening' })
      await handle.signal(names.reopen, { partitions: [1] })
      answer()
      expect((await batch()).input.partitions).toMatchObject([{ partition: 0, from: '3' }])
      expect((await batch()).input.partitions).toMatchObject([{ partition: 1, from: '7' }])
      expect(asked).toEqual(['0, 1', '1'])
      expect(await partition(1)).toMatchObject({ condition: 'healthy', reason: '', place: 'slice' })
    })
  })

  it('keeps the first reason of a pause', async () => {
    await withSlice(server.env, {}, async ({ batch, handle, partition }) => {
      const first = await batch()
      await handle.signal(names.pause, { note })
      await handle.signal(names.pause, { note: { ...note, reason: 'another one' } })
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      expect((await partition(0)).paused?.reason).toBe('bad deploy')
      first.answer(0, { end: 'released' })
    })
  })

  it('works the partitions that it is given later', async () => {
    const requests: OpenInput['partitions'][number][] = []
    const open = async (input: OpenInput) => {
      requests.push(...input.partitions)
      return opened(input)
    }
    await withSlice(server.env, { activities: { open } }, async ({ batch, handle }) => {
      await batch()
      const partitions = [{ partition: 16, added: true }, { partition: 0 }, { partition: 32, paused: note }]
      await handle.signal(names.own, { generation: 1, partitions })
      expect((await batch()).partitions).toBe('16')
    })
    expect(requests).toEqual([
      { partition: 0, above: 0 },
      { partition: 16, above: 0, added: true },
    ])
  })

  it('pauses what it has already and hears of as paused, as from a group that was ended before it could tell', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch, handle, memo, partition, until }) => {
      const first = await batch()
      const partitions = [{ partition: 0 }, { partition: 1, paused: note }]
      await handle.signal(names.own, { generation: 1, partitions })
      await waitFor(async () => (await memo()).letGo?.['1'], { what: 'the wish to let go' })
      await handle.signal(names.leave, [first.outcome(1, 7, { end: 'released' })])
      expect((await until(1, 'partition 1 to be let go', ({ place }) => place === 'none')).paused).toEqual(note)
      expect(await partition(0)).toMatchObject({ paused: null, place: 'slice' })
    })
  })

  it('ends when the group has other slices now', async () => {
    await withSlice(server.env, {}, async ({ batch, handle, untilCommitted }) => {
      const first = await batch()
      await handle.signal(names.own, { generation: 2, partitions: [{ partition: 0 }] })
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      first.answer(3, { end: 'released' })
      await handle.result()
      await untilCommitted(0, '3')
    })
  })

  it('ends the batch under way for a new config, and hands the next one to workers that have that', async () => {
    await withSlice(server.env, {}, async ({ batch, handle, queue, revision, partition, until }) => {
      const first = await batch()
      await handle.signal(names.configure, { ...revision, version: '-newer' })
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      // What is under way ends as it began.
      expect((await partition(0)).version).toBe('')
      first.answer(5, { end: 'released' })
      await until(0, 'a batch of the newer version', ({ version, place }) => version === '-newer' && place === 'slice')
      const scheduled = await waitFor(async () => (await batchesOf(handle))[1], { what: 'the next batch' })
      expect(scheduled.queue).toBe(`${queue}-newer`)
      expect(scheduled.input.partitions).toMatchObject([{ from: '5', epoch: 1, batch: 2 }])
    })
  })

  it('lets the batch under way continue when a worker starts with the same config', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch, handle, revision, until, untilCommitted }) => {
      const first = await batch()
      const outcome = first.outcome(1, 4, { end: 'blocked', reason: 'orders[1] offset 4 is not JSON' })
      await handle.signal(names.leave, [outcome])
      await until(1, 'the block', ({ condition }) => condition === 'blocked')
      await handle.signal(names.configure, { ...revision, startedBy: 'another worker' })
      const late = await batch()
      expect(late.input.partitions).toMatchObject([{ partition: 1, from: '4', batch: 2 }])
      late.answer(0, { end: 'rest' })
      first.answerWith(first.outcome(0, 10, { end: 'rest' }))
      await untilCommitted(0, '10')
      const { events } = await handle.fetchHistory()
      const cancels = (events ?? []).filter((event) => event.activityTaskCancelRequestedEventAttributes)
      expect(cancels).toEqual([])
    })
  })

  it('opens a partition again whose stored position a person has changed, and believes nothing older', async () => {
    const positions = ['0', '3']
    const commits: string[] = []
    const activities = {
      open: async (input: OpenInput) =>
        opened(input, positions[input.partitions[0]!.above]!, { replay: input.partitions[0]!.above }),
      commit: async (input: CommitInput) => {
        commits.push(...input.partitions.map(({ epoch, position }) => `epoch ${epoch} to ${position}`))
        return committed(input)
      },
    }
    await withSlice(server.env, { activities }, async ({ batch, handle, untilCommitted }) => {
      const first = await batch()
      await handle.signal(names.reopen, { partitions: [0] })
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      first.answer(50, { end: 'released' })
      const second = await batch()
      expect(second.input.partitions).toMatchObject([{ from: '3', epoch: 2, batch: 2, replay: 1 }])
      second.answer(5, { end: 'rest' })
      await untilCommitted(0, '8')
    })
    expect(commits).toEqual(['epoch 2 to 8'])
  })

  it('ends once its batches are done and their offsets committed, when it is told to finish', async () => {
    const commits: string[] = []
    const commit = async (input: CommitInput) => {
      commits.push(...input.partitions.map(({ position }) => position))
      return committed(input)
    }
    await withSlice(server.env, { activities: { commit } }, async ({ batch, handle, taken }) => {
      const first = await batch()
      await handle.signal(names.finish)
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      first.answer(9, { end: 'released' })
      await handle.result()
      expect(taken.length).toBe(1)
      expect(commits).toEqual(['9'])
    })
  })

  it('commits what was handled before it ends as cancelled, when a person cancels it', async () => {
    const commits: string[] = []
    const commit = async (input: CommitInput) => {
      commits.push(...input.partitions.map(({ position }) => position))
      return committed(input)
    }
    await withSlice(server.env, { activities: { commit } }, async ({ batch, handle }) => {
      const first = await batch()
      await handle.cancel()
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      first.answer(9, { end: 'released' })
      await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } })
      expect(commits).toEqual(['9'])
    })
  })
})
