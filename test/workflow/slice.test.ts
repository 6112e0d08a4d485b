import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import { expect, it } from 'vitest'
import type { BatchInput, CommitInput, OpenInput } from '../../src/model/batch.js'
import { names } from '../../src/model/commands.js'
import { withSlice } from '../support/live-slice.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { committed, handled, opened, skippingServer, worked } from '../support/workflow-env.js'

describeWith(['timeSkipping'], 'slice workflow', () => {
  const server = skippingServer()

  it('opens, works and commits all its partitions together, in this order', async () => {
    const log: string[] = []
    const listed = (partitions: readonly { partition: number }[]) => partitions.map((one) => one.partition).join(', ')
    const activities = {
      open: async (input: OpenInput) => {
        log.push(`open ${listed(input.partitions)}`)
        return opened(input)
      },
      process: async (input: BatchInput) => {
        if (input.partitions[0]!.from !== '0') return handled(input, 0, { end: 'rest' })
        log.push(`process ${listed(input.partitions)}`)
        return { partitions: input.partitions.map((batch) => worked(batch, 100 + batch.partition)) }
      },
      commit: async (input: CommitInput) => {
        log.push(
          `commit ${input.partitions.map(({ partition, position }) => `${partition} to ${position}`).join(', ')}`,
        )
        return committed(input)
      },
    }
    await withSlice(server.env, { partitions: [0, 16, 32], activities }, async ({ untilCommitted }) => {
      await untilCommitted(0, '100')
      await untilCommitted(16, '116')
      await untilCommitted(32, '132')
    })
    expect(log).toEqual(['open 0, 16, 32', 'process 0, 16, 32', 'commit 0 to 100, 16 to 116, 32 to 132'])
  })

  it('begins the next batch where the last one ended, with a greater number and the same epoch', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch }) => {
      const first = await batch()
      expect(first.input.partitions).toMatchObject([
        { partition: 0, from: '0', epoch: 1, batch: 1 },
        { partition: 1, from: '0', epoch: 1, batch: 1 },
      ])
      first.answerWith(first.outcome(0, 10), first.outcome(1, 20))
      const second = await batch()
      expect(second.input.partitions).toMatchObject([
        { partition: 0, from: '10', epoch: 1, batch: 2 },
        { partition: 1, from: '20', epoch: 1, batch: 2 },
      ])
    })
  })

  it('does not commit again what a batch has committed itself', async () => {
    const commits: string[] = []
    const commit = async (input: CommitInput) => {
      commits.push(...input.partitions.map(({ partition, position }) => `${partition} to ${position}`))
      return committed(input)
    }
    await withSlice(server.env, { partitions: [0, 1], activities: { commit } }, async ({ batch, untilCommitted }) => {
      const first = await batch()
      first.answerWith(first.outcome(0, 10, { committed: '10', end: 'rest' }), first.outcome(1, 20, { end: 'rest' }))
      await untilCommitted(0, '10')
      await untilCommitted(1, '20')
    })
    expect(commits).toEqual(['1 to 20'])
  })

  it('rests when no message comes, says where in its memo, and works again when it is woken', async () => {
    await server.renew()
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch, handle, memo, taken, partition }) => {
      const first = await batch()
      first.answerWith(first.outcome(0, 10, { end: 'rest' }), first.outcome(1, 20, { end: 'rest' }))
      const { rest } = await waitFor(async () => (await memo()).rest && memo(), { what: 'the rest' })
      expect(rest).toEqual({ count: 1, partitions: { 0: ['10', null], 1: ['20', null] } })
      expect((await partition(0)).place).toBe('none')
      // Nothing runs meanwhile: time is skipped, which a batch under way would prevent.
      await server.env.sleep('1 day')
      expect(taken.length).toBe(1)
      await handle.signal(names.wake)
      const second = await batch()
      expect(second.input.partitions.map(({ from }) => from)).toEqual(['10', '20'])
      second.answer(0, { end: 'rest' })
      await waitFor(async () => (await memo()).rest?.count === 2, { what: 'the second rest' })
    })
  })

  it('does not rest where messages are known to be, though it heard of them before the result of its batch', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch, handle, memo }) => {
      const first = await batch()
      await handle.signal(names.wake, { partition: 1, position: '20' })
      first.answerWith(first.outcome(0, 10, { end: 'rest' }), first.outcome(1, 20, { end: 'rest' }))
      const second = await batch()
      expect(second.input.partitions.map(({ partition, from }) => [partition, from])).toEqual([[1, '20']])
      // Told of it once, it believes that batch.
      second.answer(0, { end: 'rest' })
      await waitFor(async () => (await memo()).rest?.partitions[1]?.[0] === '20', { what: 'the rest' })
    })
  })

  it('keeps trying a failing batch for days, and its history does not grow', async () => {
    await server.renew()
    const attempts: string[] = []
    const process = async (input: BatchInput) => {
      const [first] = input.partitions
      const { attempt } = Context.current().info
      if (first!.from === '0' && attempt <= 200)
        throw ApplicationFailure.create({ message: 'the database is away', nextRetryDelay: '30 minutes' })
      attempts.push(`${first!.from} batch ${first!.batch} attempt ${attempt}`)
      return handled(input, first!.from === '0' ? 100 : 0, { end: 'rest' })
    }
    await withSlice(server.env, { activities: { process } }, async ({ untilCommitted, handle }) => {
      await server.env.sleep('5 days')
      await untilCommitted(0, '100')
      const { events } = await handle.fetchHistory()
      expect(events!.length).toBeLessThan(50)
    })
    expect(attempts[0]).toBe('0 batch 1 attempt 201')
  })
})
