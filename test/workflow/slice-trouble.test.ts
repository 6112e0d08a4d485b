import { expect, it } from 'vitest'
import { names } from '../../src/model/commands.js'
import { type LiveSlice, type TakenBatch, withSlice } from '../support/live-slice.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { answer, skippingServer } from '../support/workflow-env.js'

const failed = (partition: number) => ({
  end: 'failed' as const,
  reason: `orders[${partition}]: the handler failed`,
})

describeWith(['timeSkipping'], 'slice workflow: partitions in trouble', () => {
  const server = skippingServer()

  /** Partitions leave the batch since their handlers fail. Returns the batch of the last one. */
  async function leave({ handle, batch }: LiveSlice, first: TakenBatch, ...partitions: number[]): Promise<TakenBatch> {
    let apart: TakenBatch | undefined
    for (const partition of partitions) {
      await handle.signal(names.leave, [first.outcome(partition, 3, failed(partition))])
      apart = await batch(`partition ${partition} apart`)
      expect(apart.partitions).toBe(String(partition))
    }
    return apart!
  }

  it('works a partition whose handler fails apart, by an activity that names it, and its neighbours go on', async () => {
    await withSlice(server.env, { partitions: [0, 1, 2] }, async (slice) => {
      const first = await slice.batch()
      expect(first.input.mayLeave).toBe(4)
      const apart = await leave(slice, first, 1)
      expect(apart.input).toMatchObject({ apart: 'failed', partitions: [{ partition: 1, from: '3', batch: 2 }] })
      expect(apart.input.closesInMs).toBeUndefined()
      expect(apart.id).toBe('orders[1] epoch 1 batch 2')
      const partition = await slice.partition(1)
      expect(partition).toMatchObject({
        condition: 'retrying',
        reason: 'orders[1]: the handler failed',
        place: 'apart',
      })
      // Another try of the first batch must not take it back.
      expect((await slice.memo()).letGo).toEqual({ 1: [1, 1] })
      // What it handled before is committed at once.
      await slice.untilCommitted(1, '3')
      expect(first.cancelled).toBe(false)
      first.answerWith(first.outcome(0, 10), first.outcome(2, 10))
      const next = await slice.batch()
      expect(next.partitions).toBe('0, 2')
      expect(next.input.mayLeave).toBe(3)
    })
  })

  it('takes a partition that is healthy again back to its neighbours', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async (slice) => {
      const first = await slice.batch()
      const apart = await leave(slice, first, 1)
      first.answerWith(first.outcome(0, 10, { end: 'rest' }))
      await slice.untilCommitted(0, '10')
      apart.answer(2)
      const next = await slice.batch()
      expect(next.input.apart).toBeUndefined()
      expect(next.input.partitions).toMatchObject([{ partition: 1, from: '5', batch: 3 }])
      expect(await slice.partition(1)).toMatchObject({ condition: 'healthy', reason: '', place: 'slice' })
    })
  })

  it('keeps a partition apart as long as its batches there are let go before it recovers', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async (slice) => {
      const first = await slice.batch()
      const apart = await leave(slice, first, 1)
      apart.answer(0, { end: 'released' })
      expect((await slice.batch()).input).toMatchObject({ apart: 'failed', partitions: [{ batch: 3 }] })
    })
  })

  it('works four of them apart at most: the others stay with the batch of all', async () => {
    const partitions = [0, 1, 2, 3, 4, 5]
    await withSlice(server.env, { partitions }, async (slice) => {
      const first = await slice.batch()
      const fourth = await leave(slice, first, 0, 1, 2, 3)
      expect(fourth.input.mayLeave).toBe(0)
      // A fifth one that leaves even so waits for the next batch of all.
      await slice.handle.signal(names.leave, [first.outcome(4, 3, failed(4))])
      await slice.until(4, 'partition 4 to leave', ({ place }) => place === 'none')
      first.answerWith(first.outcome(5, 10))
      const next = await slice.batch()
      expect(next.partitions).toBe('4, 5')
      expect(next.input.apart).toBeUndefined()
      expect(next.input.mayLeave).toBe(0)
    })
  })

  it('works a partition with a slow handler apart for four batches, though nothing is wrong with it', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ handle, batch, partition }) => {
      const first = await batch()
      await handle.signal(names.leave, [first.outcome(1, 3, { end: 'slow', reason: 'a call of 40 s' })])
      for (let turn = 0; turn < 4; turn++) {
        const apart = await batch()
        expect(apart.input).toMatchObject({ apart: 'slow', partitions: [{ partition: 1, from: String(3 + turn) }] })
        expect(await partition(1)).toMatchObject({ condition: 'healthy', place: 'apart' })
        apart.answer(1)
      }
      const late = await batch()
      expect(late.input.apart).toBeUndefined()
      expect(late.input.partitions).toMatchObject([{ partition: 1, from: '7' }])
    })
  })

  it('ends the batch of a partition apart that is paused, and no other', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async (slice) => {
      const first = await slice.batch()
      const apart = await leave(slice, first, 1)
      const note = { by: 'anna@desk', reason: 'look at it', since: '2026-01-02T00:00:00.000Z' }
      await slice.handle.signal(names.pause, { partitions: [1], note })
      await waitFor(() => apart.cancelled, { what: 'the batch to be cancelled' })
      apart.answer(0, { end: 'released' })
      await slice.until(1, 'partition 1 to be let go', ({ place }) => place === 'none')
      expect(first.cancelled).toBe(false)
    })
  })

  it('ignores what a batch of another run says: a slice that was reset in Temporal counts anew, under greater epochs', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async (slice) => {
      const first = await slice.batch()
      const left = first.outcome(1, 3, { end: 'fenced', reason: 'a newer owner has it' })
      await slice.handle.signal(names.leave, [{ ...left, epoch: left.epoch - 1 }])
      first.answer(10)
      await slice.untilCommitted(1, '10')
      expect((await slice.partition(1)).condition).toBe('healthy')
    })
  })

  it('ignores what it was told twice, or of an older batch', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async (slice) => {
      const first = await slice.batch()
      const left = first.outcome(1, 3, failed(1))
      await slice.handle.signal(names.leave, [left])
      const apart = await slice.batch()
      await slice.handle.signal(names.leave, [left])
      await slice.handle.signal(names.leave, [{ ...left, to: '2' }])
      apart.answer(5)
      const late = await slice.batch()
      expect(late.input.partitions).toMatchObject([{ partition: 1, from: '8', batch: 3 }])
      // The result of the first batch names the partition once more, since the signal might have been lost.
      first.answerWith(first.outcome(0, 10), left)
      await slice.untilCommitted(0, '10')
      expect(await slice.partition(1)).toMatchObject({ condition: 'healthy', progress: { position: '8', messages: 8 } })
    })
  })

  it('believes the result of a batch where a departure could not be told', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch }) => {
      const first = await batch()
      first.answerWith(first.outcome(0, 10), first.outcome(1, 3, failed(1)))
      const next = [await batch(), await batch()].map(({ partitions, input }) => [partitions, input.apart])
      // They begin at the same time, so a worker may take either one first.
      expect(next.sort()).toEqual([
        ['0', undefined],
        ['1', 'failed'],
      ])
    })
  })

  /** The slice's page, without the wide gaps of its tables. */
  const page = async ({ handle }: LiveSlice) => {
    const metadata = await answer(server.env, () =>
      handle.query<{ currentDetails: string }>('__temporal_workflow_metadata'),
    )
    return metadata.currentDetails.replaceAll('\u2002', '')
  }
  const shows = (slice: LiveSlice, text: string) =>
    waitFor(async () => (await page(slice)).includes(text), { what: `the page to show ${text}` })

  it('shows that its batch of all is retried or held, as long as it is told so, and of no other batch', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async (slice) => {
      const first = await slice.batch()
      const retrying = { state: 'retrying', reason: 'the database is away' }
      await slice.handle.signal(names.trouble, { 'of another run': retrying })
      await slice.handle.signal(names.trouble, { [first.id]: retrying })
      await shows(slice, '| 1 | retrying |')
      await slice.handle.signal(names.trouble, { [first.id]: { state: 'held', reason: 'by ada in Temporal' } })
      await shows(slice, '| 1 | held |')
      expect(await page(slice)).toMatch(/held since [-\d: ]+ UTC: by ada in Temporal/)
      await slice.handle.signal(names.trouble, {})
      await shows(slice, '| 1 | running |')
      // It stays with its neighbours.
      expect(await slice.partition(1)).toMatchObject({ condition: 'healthy', place: 'slice' })
    })
  })

  it('shows nothing of a batch that has ended', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async (slice) => {
      const first = await slice.batch()
      await slice.handle.signal(names.trouble, { [first.id]: { state: 'retrying', reason: 'the database is away' } })
      await shows(slice, '| 0 | retrying |')
      first.answer(3)
      const next = await slice.batch()
      expect(next.id).not.toBe(first.id)
      await shows(slice, '| 0 | running |')
    })
  })
})
