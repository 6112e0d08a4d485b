import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ConsumerRuntime } from '../../../activities/runtime.js'
import { TidemarkError } from '../../../src/model/errors.js'
import { TruncatedLog } from '../../../src/model/refusals.js'
import type { Message, ProgressLog } from '../../../src/ports/index.js'
import { batchGround, byPartition, name } from '../../support/batch-ground.js'
import { claimFrom } from '../../support/claim.js'
import { virtualTime, working } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

/** A handler that fails for these partitions, as long as they are among them. */
const failingFor =
  (partitions: Set<number>) =>
  ([message]: readonly Message[]) => {
    if (partitions.has(message!.partition)) throw new Error('no such account')
  }

describe('a partition whose handler fails', () => {
  it('leaves, and its neighbours go on', async () => {
    const { begin, own, told, log, handled } = await batchGround({ handle: failingFor(new Set([1])) })
    const { batch, result } = begin(await own({ 0: 1, 1: 1, 2: 0 }))
    await pass(249)
    expect(told).toEqual([])
    await pass(2)
    expect(told).toMatchObject([{ partition: 1, batch: 1, end: 'failed', to: '0', messages: 0 }])
    expect(told[0]).toHaveProperty('reason', expect.stringContaining('orders[1] offset 0: no such account'))
    log.append(2)
    await pass(1)
    expect(handled(2)).toEqual([[0]])
    batch.end()
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'released' }, 1: { end: 'failed' } })
    expect([log.open, log.lent]).toEqual([0, 0])
  })

  it('fails the batch together with its neighbours', async () => {
    const all = new Set([0, 1, 2])
    const { begin, own, told, log } = await batchGround({ handle: failingFor(all) })
    const { result } = begin(await own({ 0: 1, 1: 1, 2: 1 }), { mayLeave: 2 })
    await expect(until(result)).rejects.toThrow('no such account')
    expect([told, log.open, log.lent]).toEqual([[], 0, 0])
  })

  it('stays where none may leave, and is tried again in its place with growing pauses', async () => {
    const failing = new Set([1])
    const { begin, own, handled, calls, told, log } = await batchGround({ handle: failingFor(failing) })
    const { batch, result } = begin(await own({ 0: 1, 1: 1 }), { mayLeave: 0 })
    await pass(8_000)
    // 250 ms for its neighbours to fail as well, and then 1, 2 and 4 seconds.
    const tries = calls.filter(({ partition }) => partition === 1).map(({ begun }) => begun - calls[0]!.begun)
    expect(tries.map(Math.round)).toEqual([0, 1_250, 3_500, 7_750])
    failing.clear()
    await pass(8_300)
    expect(handled(1)).toHaveLength(5)
    log.append(0)
    log.append(1)
    await pass(1)
    expect([handled(0).at(-1), handled(1).at(-1)]).toEqual([[1], [1]])
    batch.end()
    expect(byPartition(await until(result))).toMatchObject({ 0: { to: '2' }, 1: { to: '2', end: 'released' } })
    expect(told).toEqual([])
  })

  it('that stays is let go of in its pause', async () => {
    const { begin, own } = await batchGround({ handle: failingFor(new Set([1])) })
    const { batch, result } = begin(await own({ 0: 1, 1: 1 }), { mayLeave: 0 })
    await pass(5_000)
    const before = performance.now()
    batch.end()
    expect(byPartition(await until(result))).toMatchObject({ 1: { end: 'released', to: '0' } })
    expect(performance.now()).toBe(before)
  })

  it('while it is let go has been let go: its batch does not fail', async () => {
    const failsLate = async () => {
      await working(1_000)
      throw new Error('no such account')
    }
    const { begin, own, log } = await batchGround({ handle: failsLate })
    const { batch, result } = begin(await own({ 0: 1 }))
    await pass(500)
    batch.end()
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'released', to: '0' } })
    expect([log.open, log.lent]).toEqual([0, 0])
  })

  it('while it alone is let go has been let go, and its neighbours go on', async () => {
    const failsLate = async ([message]: readonly Message[]) => {
      if (message!.partition === 0) return
      await working(1_000)
      throw new Error('no such account')
    }
    const { begin, own, told } = await batchGround({ handle: failsLate })
    const { batch, result } = begin(await own({ 0: 1, 1: 1 }))
    await pass(500)
    batch.release((partition) => partition === 1)
    await pass(501)
    expect(told).toMatchObject([{ partition: 1, end: 'released', to: '0' }])
    batch.end()
    await until(result)
  })

  it('in front of what can not be decoded, while it is let go, is not blocked by that', async () => {
    const { begin, own, log } = await batchGround({ handle: () => working(1_000) })
    const owned = await own({ 0: 2 })
    log.poison(0, 1n, new TidemarkError('UNDECODABLE', 'orders[0] offset 1 is not JSON'))
    const { batch, result } = begin(owned)
    await pass(500)
    batch.end()
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'released', to: '1', messages: 1 } })
  })

  it('has done only what its handler has stored, where offsets are stored by hand', async () => {
    const { begin, own, told } = await batchGround({
      handle: ([message], { storeOffset }) => {
        if (message!.partition === 1 && message!.offset >= 10n) throw new Error('no such account')
        if (message!.partition === 1) storeOffset(message!)
      },
      settings: { commit: { after: 'manual', intervalMs: 100 } },
    })
    const { batch, result } = begin(await own({ 0: 1, 1: 20 }))
    await pass(300)
    expect(told).toMatchObject([{ partition: 1, end: 'failed', to: '1' }])
    batch.end()
    await until(result)
  })

  it.each([
    ['in its pause', 6_000],
    ['right after it has failed', 7_900],
  ])('that stays does not hold its neighbours when the batch closes %s', async (_, maxDurationMs) => {
    const { begin, own } = await batchGround({ handle: failingFor(new Set([1])), batch: { maxDurationMs } })
    const { result } = begin(await own({ 0: 1, 1: 1 }), { mayLeave: 0 })
    const before = performance.now()
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'more' }, 1: { end: 'more', to: '0' } })
    expect(performance.now() - before).toBeLessThanOrEqual(maxDurationMs + 250)
  })

  it('that nobody has claimed yet is claimed when it is tried again', async () => {
    const { begin, own, runtime, handled, log } = await batchGround()
    const claim = vi.spyOn(runtime.progress, 'claim')
    const away = new TidemarkError('UNREACHABLE', 'the database is away')
    claim.mockRejectedValueOnce(away)
    begin(await own({ 0: 1, 1: 1 }), { mayLeave: 0 })
    log.append(1)
    await pass(2_000)
    expect([handled(0), handled(1)]).toEqual([[[0]], [[0, 1]]])
  })

  it('counts its own claim whose answer was lost', async () => {
    const { begin, own, runtime, handled } = await batchGround()
    loseAnswer(runtime.progress)
    const { batch, result } = begin(await own({ 0: 1, 1: 1 }), { mayLeave: 0 })
    await pass(2_000)
    batch.end()
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'released', to: '1' } })
    expect(handled(0)).toEqual([[0]])
  })

  it('fails its batch where it is worked apart', async () => {
    const { begin, own } = await batchGround({ handle: failingFor(new Set([1])) })
    const { result } = begin(await own({ 1: 1 }), { apart: 'failed' })
    await expect(until(result)).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
  })

  it('goes back to its neighbours after one success apart', async () => {
    const { begin, own } = await batchGround()
    const { result } = begin(await own({ 1: 25 }), { apart: 'failed' })
    expect(byPartition(await until(result))[1]).toMatchObject({ end: 'more', to: '10' })
  })
})

describe('a partition that can not go on', () => {
  it('is blocked where the log has lost its position, with what came before committed', async () => {
    const { begin, own, log, stored, told } = await batchGround({
      settings: { commit: { after: 'messages', messages: 100 } },
    })
    log.fails(0, 4n, new TidemarkError('OUT_OF_RANGE', 'offset 4 is gone'))
    begin(await own({ 0: 9, 1: 1 }))
    await pass(1)
    expect(told).toMatchObject([
      { partition: 0, end: 'blocked', to: '4', messages: 4, committed: '4', reason: 'offset 4 is gone' },
    ])
    expect(await stored(0)).toBe(4n)
  })

  it('is opened again instead, where the consumer has a policy for that', async () => {
    const { begin, own, log, told } = await batchGround({ settings: { outOfRange: 'first' } })
    log.fails(0, 4n, new TidemarkError('OUT_OF_RANGE', 'offset 4 is gone'))
    begin(await own({ 0: 9, 1: 1 }))
    await pass(1)
    expect(told).toMatchObject([{ partition: 0, end: 'reopen', to: '4' }])
  })

  describe('since the log was cut', () => {
    const cut = (at: bigint | null) => new TruncatedLog({ ...name, partition: 0 }, 4n, at)
    const skips = async (runtime: ConsumerRuntime) => runtime.store.history({ ...name, partition: 0, limit: 9 })

    it('is blocked, with what to do', async () => {
      const { begin, own, log, stored, told } = await batchGround({
        settings: { commit: { after: 'messages', messages: 100 } },
      })
      log.fails(0, 4n, cut(2n))
      begin(await own({ 0: 9, 1: 1 }))
      await pass(1)
      expect(told).toMatchObject([{ partition: 0, end: 'blocked', to: '4', reason: cut(2n).message }])
      expect(await stored(0)).toBe(4n)
    })

    it.each(['first', 'last'] as const)(
      'goes on there under the policy %s, as the history tells',
      async (outOfRange) => {
        const { begin, own, log, stored, told, runtime } = await batchGround({ settings: { outOfRange } })
        log.fails(0, 4n, cut(2n))
        begin(await own({ 0: 9, 1: 1 }))
        await pass(1)
        expect(told).toMatchObject([{ partition: 0, end: 'reopen' }])
        expect(await stored(0)).toBe(2n)
        expect(await skips(runtime)).toMatchObject([
          {
            kind: 'skipped',
            to: 2n,
            by: `onOutOfRange: ${outOfRange}`,
            why: expect.stringContaining('cut at offset 2'),
          },
        ])
      },
    )

    it('goes on where the policy says when nobody can tell where', async () => {
      const { begin, own, log, stored } = await batchGround({ settings: { outOfRange: 'first' } })
      log.fails(0, 4n, cut(null))
      begin(await own({ 0: 9, 1: 1 }))
      await pass(1)
      expect(await stored(0)).toBe(0n)
    })

    it('is blocked where the position can not be moved: opened again, nobody would know', async () => {
      const { begin, own, log, told, runtime } = await batchGround({ settings: { outOfRange: 'first' } })
      runtime.store.resetIf = async () => {
        throw new TidemarkError('UNREACHABLE', 'the store is away')
      }
      log.fails(0, 4n, cut(2n))
      begin(await own({ 0: 9, 1: 1 }))
      await pass(1)
      expect(told).toMatchObject([{ partition: 0, end: 'blocked', reason: cut(2n).message }])
    })

    it('leaves a position alone that was moved meanwhile', async () => {
      const { begin, own, log, told, stored, runtime } = await batchGround({ settings: { outOfRange: 'first' } })
      log.fails(0, 4n, cut(2n))
      const owned = await own({ 0: 9, 1: 1 })
      await runtime.store.reset({ ...name, partition: 0 }, { kind: 'reset', to: 7n, by: 'ann', why: '' })
      begin(owned)
      await pass(1)
      expect(told).toMatchObject([{ partition: 0, end: 'reopen' }])
      expect(await stored(0)).toBe(7n)
    })
  })

  it('is blocked in front of a message that can not be decoded', async () => {
    const { begin, own, log, told, handled } = await batchGround()
    log.poison(0, 2n, new TidemarkError('UNDECODABLE', 'no JSON'))
    begin(await own({ 0: 9, 1: 1 }))
    await pass(1)
    expect(handled(0)).toEqual([[0, 1]])
    expect(told).toMatchObject([{ partition: 0, end: 'blocked', to: '2', messages: 2, reason: 'no JSON' }])
    expect(log.lent).toBe(0)
  })

  it('does not reach what can not be decoded behind the end of its run', async () => {
    const { begin, own, log } = await batchGround({ until: ({ offset }) => offset === 1n })
    log.poison(0, 2n, new TidemarkError('UNDECODABLE', 'no JSON'))
    const [only] = await own({ 0: 9 })
    const { result } = begin([{ ...only!, run: { until: 'message', began: '0', replay: 0 } }])
    expect(byPartition(await until(result))[0]).toMatchObject({ end: 'finished', to: '2' })
  })

  it('is fenced by an owner of a newer epoch', async () => {
    const { begin, own, runtime, told } = await batchGround()
    await claimFrom(
      runtime.progress,
      { ...name, partition: 0 },
      { epoch: 2, batch: 1, attempt: 1 },
      { from: 0n, replay: 0 },
    )
    begin(await own({ 0: 1, 1: 1 }))
    await pass(1)
    expect(told).toMatchObject([{ partition: 0, end: 'fenced', to: '0' }])
  })

  it('is opened again where a later batch of the same owner has it: a slice that believes this one was set back', async () => {
    const { begin, own, runtime, told, log } = await batchGround()
    const { batch, result } = begin(await own({ 0: 1, 1: 1 }))
    await pass(1)
    await claimFrom(
      runtime.progress,
      { ...name, partition: 0 },
      { epoch: 1, batch: 2, attempt: 1 },
      { from: 0n, replay: 0 },
    )
    log.append(0)
    await pass(1)
    expect(told).toEqual([])
    batch.end()
    expect(byPartition(await until(result))[0]).toMatchObject({ end: 'reopen', to: '1' })
  })

  it('is just let go of where an earlier try has its token, since a reset counts tries from 1 again', async () => {
    const { begin, own, runtime, told, handled } = await batchGround()
    const batches = await own({ 0: 1 })
    await claimFrom(
      runtime.progress,
      { ...name, partition: 0 },
      { epoch: 1, batch: 1, attempt: 2 },
      { from: 0n, replay: 0 },
    )
    for (const attempt of [1, 2]) {
      const { result } = begin(batches, { attempt })
      expect(byPartition(await until(result))[0]).toMatchObject({ end: 'released', to: '0' })
    }
    expect(handled(0)).toEqual([])
    expect(told).toEqual([])
  })

  it('looks for the end of its run where progress is ahead of the batch before it', async () => {
    const { begin, own, runtime } = await batchGround({ until: ({ offset }) => offset === 1n })
    const key = { ...name, partition: 0 }
    const [only] = await own({ 0: 9 })
    const earlier = { epoch: 1, batch: 1, attempt: 1 }
    await claimFrom(runtime.progress, key, earlier, { from: 0n, replay: 0 })
    await runtime.progress.advance(key, earlier, 0n, 2n)
    const run = { until: 'message', began: '0', replay: 0 } as const
    const { result } = begin([{ ...only!, batch: 2, follows: true, run }])
    expect(byPartition(await until(result))[0]).toMatchObject({ end: 'finished', to: '2', messages: 0 })
  })

  it('is opened again when a person has changed its position', async () => {
    const { begin, own, runtime, told, log } = await batchGround({
      settings: { commit: { after: 'messages', messages: 1 } },
    })
    begin(await own({ 0: 1, 1: 1 }))
    await pass(1)
    await runtime.store.reset({ ...name, partition: 0 }, { kind: 'reset', to: 0n, by: 'ann', why: 'again' })
    log.append(0)
    await pass(1)
    expect(told).toMatchObject([{ partition: 0, end: 'reopen' }])
    expect(told[0]).toHaveProperty('reason', expect.stringContaining('was reset'))
  })

  it('is opened again when its stream was made anew', async () => {
    const { begin, own, told, log, calls } = await batchGround()
    const [first, second] = await own({ 0: 1, 1: 1 })
    log.identities.set(0, 'second')
    begin([{ ...first!, identity: 'first' }, second!])
    await pass(1)
    expect(told).toMatchObject([{ partition: 0, end: 'reopen' }])
    expect(calls.map(({ partition }) => partition)).toEqual([1])
  })

  it('is opened again when its handler finds the position moved', async () => {
    const { begin, own, told, runtime } = await batchGround({
      settings: { commit: { after: 'manual', intervalMs: 60_000 } },
      handle: async ([message], context) => {
        if (message!.partition !== 0) return
        const key = { ...name, partition: 0 }
        await runtime.store.reset(key, { kind: 'reset', to: 0n, by: 'ann', why: 'a test' })
        context.storeOffset(message!)
        await context.commit()
      },
    })
    begin(await own({ 0: 1, 1: 1 }))
    await pass(1)
    expect(told).toMatchObject([{ partition: 0, end: 'reopen', reason: expect.stringContaining('was reset') }])
  })
})

describe('a slow call of a handler', () => {
  const slowFor =
    (partition: number, ms: number) =>
    async ([message]: readonly Message[]) =>
      working(message!.partition === partition ? ms : 10)

  it('holds its neighbours for no more than 250 ms when the batch closes, and leaves it', async () => {
    const { begin, own, told, log, calls } = await batchGround({
      handle: slowFor(1, 20_000),
      batch: { maxDurationMs: 5_000 },
    })
    const { result } = begin(await own({ 0: 1, 1: 1 }))
    const timer = setInterval(() => log.append(0), 100)
    const outcomes = byPartition(await until(result))
    clearInterval(timer)
    const begun = calls.filter(({ partition }) => partition === 0).map((call) => call.begun)
    const gaps = begun.slice(1).map((at, index) => at - begun[index]!)
    expect(gaps.length).toBeGreaterThan(190)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(360)
    expect(told).toMatchObject([{ partition: 1, end: 'slow', to: '1', messages: 1 }])
    expect(outcomes).toMatchObject({ 0: { end: 'more' }, 1: { end: 'slow' } })
  })

  it('is waited for where it ends soon, and nobody leaves', async () => {
    const { begin, own, told } = await batchGround({ handle: slowFor(1, 5_200), batch: { maxDurationMs: 5_000 } })
    const { result } = begin(await own({ 0: 1, 1: 1 }))
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'more' }, 1: { end: 'more', to: '1' } })
    expect(told).toEqual([])
  })

  it('makes nobody else slow, though neighbours are busy all the time', async () => {
    const { begin, own, told } = await batchGround({ handle: slowFor(1, 8_000), batch: { maxDurationMs: 5_000 } })
    const { result } = begin(await own({ 0: 9_000, 1: 1, 2: 9_000, 3: 9_000 }))
    const outcomes = byPartition(await until(result))
    expect(told).toMatchObject([{ partition: 1, end: 'slow' }])
    expect(outcomes).toMatchObject({ 0: { end: 'more' }, 2: { end: 'more' }, 3: { end: 'more' } })
  })
})

/** The first claim works, and its answer is lost. */
function loseAnswer(progress: ProgressLog): void {
  const claim = progress.claim.bind(progress)
  vi.spyOn(progress, 'claim').mockImplementationOnce(async (...call) => {
    await claim(...call)
    throw new TidemarkError('UNREACHABLE', 'connection reset')
  })
}
