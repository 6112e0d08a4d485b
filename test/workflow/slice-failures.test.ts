import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { expect, it } from 'vitest'
import type { CommitInput, OpenInput, OpenOutcome, RaiseInput } from '../../src/model/batch.js'
import { names } from '../../src/model/commands.js'
import { withSlice } from '../support/live-slice.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { committed, opened, skippingServer } from '../support/workflow-env.js'

describeWith(['timeSkipping'], 'slice workflow: failures', () => {
  const server = skippingServer()

  it('stops in front of what retrying cannot mend, commits what came before it, and tries again when a worker starts', async () => {
    await withSlice(server.env, {}, async ({ batch, handle, revision, until, untilCommitted, taken }) => {
      const first = await batch()
      first.answer(42, { end: 'blocked', reason: 'orders[0] offset 42 is not JSON' })
      const blocked = await until(0, 'the block', ({ condition }) => condition === 'blocked')
      expect(blocked.reason).toBe('orders[0] offset 42 is not JSON')
      await untilCommitted(0, '42')
      await server.env.sleep('1 day')
      expect(taken.length).toBe(1)
      await handle.signal(names.configure, revision)
      expect((await batch()).input.partitions).toMatchObject([{ from: '42', epoch: 1, batch: 2 }])
    })
  })

  it('gives up a partition that a newer epoch has taken, and takes it back with a newer one on resume', async () => {
    const above: number[] = []
    const open = async (input: OpenInput) => {
      above.push(...input.partitions.map((one) => one.above))
      return opened(input, '0', { epoch: input.partitions[0]!.above + 5 })
    }
    await withSlice(server.env, { activities: { open } }, async ({ batch, handle, until }) => {
      const first = await batch()
      first.answer(0, { end: 'fenced', reason: 'orders[0] belongs to epoch 9' })
      const fenced = await until(0, 'the fence', ({ condition }) => condition === 'fenced')
      expect(fenced.reason).toBe('orders[0] belongs to epoch 9')
      await handle.signal(names.resume, {})
      expect((await batch()).input.partitions).toMatchObject([{ epoch: 10, batch: 2 }])
    })
    expect(above).toEqual([0, 5])
  })

  it('gives up a partition whose commit the store refuses, and its neighbours go on', async () => {
    const commit = async (input: CommitInput) =>
      input.partitions.map(({ partition }) =>
        partition === 1
          ? { partition, outcome: 'fenced' as const, reason: 'epoch 3 has it' }
          : { partition, outcome: 'committed' as const },
      )
    await withSlice(
      server.env,
      { partitions: [0, 1], activities: { commit } },
      async ({ batch, until, untilCommitted }) => {
        const first = await batch()
        first.answer(10, { end: 'rest' })
        await untilCommitted(0, '10')
        const fenced = await until(1, 'the fence', ({ condition }) => condition === 'fenced')
        expect(fenced.reason).toBe('epoch 3 has it')
      },
    )
  })

  it('opens a partition again where the commit says that its position was changed', async () => {
    let reset = false
    const activities = {
      open: async (input: OpenInput) => opened(input, reset ? '3' : '0'),
      commit: async (input: CommitInput) => {
        if (reset) return committed(input)
        reset = true
        return input.partitions.map(({ partition }) => ({ partition, outcome: 'reopen' as const, reason: 'a reset' }))
      },
    }
    await withSlice(server.env, { activities }, async ({ batch, partition }) => {
      const first = await batch()
      first.answer(10, { end: 'rest' })
      expect((await batch()).input.partitions).toMatchObject([{ from: '3', epoch: 2, batch: 2 }])
      expect((await partition(0)).condition).toBe('healthy')
    })
  })

  it('offers a commit that the store cannot take again once the partition is resumed, and not before', async () => {
    await server.renew()
    let tries = 0
    let mended = false
    const commit = async (input: CommitInput) => {
      tries++
      if (mended) return committed(input)
      return input.partitions.map(({ partition }) => ({ partition, outcome: 'blocked' as const, reason: 'no topic' }))
    }
    await withSlice(server.env, { activities: { commit } }, async ({ batch, handle, until, untilCommitted }) => {
      const first = await batch()
      first.answer(10, { end: 'rest' })
      const blocked = await until(0, 'the block', ({ condition }) => condition === 'blocked')
      expect(blocked.reason).toBe('no topic')
      await server.env.sleep('1 day')
      expect(tries).toBe(1)
      mended = true
      await handle.signal(names.resume, {})
      const second = await batch()
      second.answer(0, { end: 'rest' })
      await untilCommitted(0, '10')
    })
  })

  it('keeps partitions out of the batch that could not be opened: for good, or until a try apart succeeds', async () => {
    let mended = false
    const open = async (input: OpenInput) =>
      opened(input).map((owned): OpenOutcome => {
        const { partition } = owned
        if (partition === 1) return { partition, outcome: 'blocked', reason: 'orders has no partition 1' }
        if (partition !== 2 || mended) return owned
        mended = true
        return { partition, outcome: 'failed', reason: 'the broker of 2 is away' }
      })
    await withSlice(server.env, { partitions: [0, 1, 2], activities: { open } }, async ({ batch, partition }) => {
      const both = [await batch(), await batch()]
      expect(both.map(({ partitions, input }) => [partitions, input.apart]).sort()).toEqual([
        ['0', undefined],
        ['2', 'failed'],
      ])
      expect(await partition(1)).toMatchObject({ condition: 'blocked', reason: 'orders has no partition 1' })
      expect(await partition(2)).toMatchObject({ condition: 'retrying', reason: 'the broker of 2 is away' })
    })
  })

  it('blocks the partitions of a batch that fails in a way that retrying cannot mend, once its tokens are worthless', async () => {
    const raised: RaiseInput['partitions'][number][] = []
    const raise = async ({ partitions }: RaiseInput) => void raised.push(...partitions)
    await withSlice(server.env, { partitions: [0, 1], activities: { raise } }, async ({ batch, until }) => {
      const first = await batch()
      first.fail(ApplicationFailure.nonRetryable('the config has no handler', 'CONFIG'))
      for (const index of [0, 1]) {
        const blocked = await until(index, 'the block', ({ condition }) => condition === 'blocked')
        expect(blocked.reason).toBe('the config has no handler')
      }
    })
    expect(raised).toEqual([
      { partition: 0, epoch: 1, batch: 1 },
      { partition: 1, epoch: 1, batch: 1 },
    ])
  })

  it('makes the tokens of a cancelled batch worthless that gave no answer, before anything else happens', async () => {
    const log: string[] = []
    const activities = {
      raise: async ({ partitions }: RaiseInput) => {
        log.push(
          ...partitions.map(({ partition, epoch, batch }) => `raise ${partition}: epoch ${epoch} batch ${batch}`),
        )
        // Long enough for a next batch to come first, if that were possible.
        await new Promise((resolve) => setTimeout(resolve, 500))
        log.push('raised')
      },
    }
    await withSlice(server.env, { activities }, async ({ batch, handle, revision }) => {
      const first = await batch()
      await handle.signal(names.configure, { ...revision, until: 'head' })
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      first.fail(new CancelledFailure('no answer'))
      const second = await batch()
      log.push(`batch ${second.input.partitions[0]!.batch} from ${second.input.partitions[0]!.from}`)
    })
    expect(log).toEqual(['raise 0: epoch 1 batch 1', 'raised', 'batch 2 from 0'])
  })

  it('lets go of a batch that failed after it was asked to end, and does not block', async () => {
    await withSlice(server.env, {}, async ({ batch, handle, partition, until }) => {
      const first = await batch()
      await handle.signal(names.pause, {
        note: { by: 'ann', reason: 'a bad deploy', since: '2026-01-01T00:00:00.000Z' },
      })
      await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
      first.fail(ApplicationFailure.nonRetryable('the worker is too old'))
      await until(0, 'the pause', ({ place }) => place === 'none')
      expect(await partition(0)).toMatchObject({ condition: 'healthy', reason: '', paused: { reason: 'a bad deploy' } })
    })
  })
})
