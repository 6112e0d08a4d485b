import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BatchRun } from '../../../activities/batch/batch-run.js'
import { TemporalClock } from '../../../activities/failing/temporal-clock.js'
import { batchGround, byPartition, name } from '../../support/batch-ground.js'
import { claimFrom } from '../../support/claim.js'
import { virtualTime, working } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

describe('a batch', () => {
  it('follows all its partitions, to messages that come while it is open', async () => {
    const { begin, own, log, handled, runtime } = await batchGround()
    const { result } = begin(await own({ 0: 3, 1: 0, 2: 12 }))
    await pass(5_000)
    log.append(1, 2)
    await pass(1)
    expect([handled(0), handled(1)]).toEqual([[[0, 1, 2]], [[0, 1]]])
    expect(handled(2).flat()).toHaveLength(12)
    await until(result)
    expect(await runtime.progress.read({ ...name, partition: 2 })).toMatchObject({ position: 12n })
    expect(log.lent).toBe(0)
  })

  it('tells which chunks take long, and since when', async () => {
    const { begin, own } = await batchGround({ handle: ([message]) => working(message!.partition === 1 ? 20_000 : 10) })
    const { batch, result } = begin(await own({ 0: 3, 1: 3 }))
    const began = Date.now()
    await pass(4_000)
    expect(batch.progress.inChunkSince).toBeUndefined()
    await pass(4_000)
    const told = Object.entries(batch.progress.inChunkSince ?? {})
    expect(told.map(([partition]) => partition)).toEqual(['1'])
    expect(Math.abs(Date.parse(told[0]![1]) - began)).toBeLessThan(100)
    await pass(15_000)
    expect(batch.progress.inChunkSince).toBeUndefined()
    batch.end()
    await until(result)
  })

  it('that handles message after message, 10 ms each, and is told to let go, keeps what it did within seconds', async () => {
    const { begin, own, runtime } = await batchGround({
      handle: (messages) => working(10 * messages.length),
      batch: { maxMessages: 100_000 },
      settings: { chunk: { maxMessages: 10_000, fetchBytes: 1_000_000, targetMs: 2_000 } },
    })
    const { batch, result } = begin(await own({ 0: 50_000 }))
    await pass(20_500)
    const before = performance.now()
    batch.end()
    const [outcome] = (await until(result)).partitions
    expect(performance.now() - before).toBeLessThan(4_000)
    expect(outcome).toMatchObject({ end: 'released' })
    expect(Number(outcome!.to)).toBeGreaterThan(1_800)
    expect(await runtime.progress.read({ ...name, partition: 0 })).toMatchObject({ position: BigInt(outcome!.to) })
  })

  it('ends with all partitions when one of them is full', async () => {
    const { begin, own, log } = await batchGround({ batch: { maxMessages: 20 } })
    const { result } = begin(await own({ 0: 50, 1: 2 }))
    const outcomes = byPartition(await until(result))
    expect(outcomes[0]).toEqual({ partition: 0, epoch: 1, batch: 1, to: '20', messages: 20, head: '50', end: 'more' })
    expect(outcomes[1]).toEqual({ partition: 1, epoch: 1, batch: 1, to: '2', messages: 2, head: '2', end: 'more' })
    expect(log.lent).toBe(0)
  })

  it('ends so long after its first message, while messages keep coming', async () => {
    const { begin, own, log } = await batchGround({ batch: { maxDurationMs: 5_000 } })
    const { result } = begin(await own({ 0: 0, 1: 0 }))
    await pass(20_000)
    const timer = setInterval(() => log.append(0), 1_000)
    const before = performance.now()
    const outcomes = byPartition(await until(result))
    clearInterval(timer)
    expect(performance.now() - before).toBeCloseTo(6_000, -2)
    expect(outcomes).toMatchObject({ 0: { end: 'more' }, 1: { end: 'more', messages: 0 } })
  })

  it('ends sooner where it is told to', async () => {
    const { begin, own } = await batchGround()
    const { result } = begin(await own({ 0: 1 }), { closesInMs: 1_500 })
    const before = performance.now()
    await until(result)
    expect(performance.now() - before).toBeCloseTo(1_500, -2)
  })

  it('rests when no partition has had a message for a while', async () => {
    const { begin, own, log } = await batchGround({ batch: { maxDurationMs: 600_000 } })
    const { result } = begin(await own({ 0: 1, 1: 0 }))
    await pass(50_000)
    log.append(1)
    const before = performance.now()
    const outcomes = byPartition(await until(result))
    expect(performance.now() - before).toBeCloseTo(60_000, -2)
    expect(outcomes).toMatchObject({ 0: { end: 'rest', to: '1' }, 1: { end: 'rest', to: '1' } })
    expect(log.open).toBe(0)
  })

  it('commits by itself what a quiet partition has handled, and stays open', async () => {
    const { begin, own, stored, told } = await batchGround()
    const { result } = begin(await own({ 0: 4, 1: 0 }))
    await pass(1_900)
    expect(await stored(0)).toBe(0n)
    await pass(200)
    expect(await stored(0)).toBe(4n)
    expect(told).toEqual([])
    expect(byPartition(await until(result))[0]).toMatchObject({ committed: '4', to: '4' })
  })

  it('lets go of the partitions it is asked for, one by one, and of no others', async () => {
    const { begin, own, log, told, handled } = await batchGround()
    const { batch, result } = begin(await own({ 0: 1, 1: 1, 2: 1 }))
    await pass(100)
    for (const wanted of [2, 0]) {
      batch.release((partition) => partition === wanted)
      await pass(1)
    }
    expect(told).toMatchObject([
      { partition: 2, end: 'released', to: '1' },
      { partition: 0, end: 'released', to: '1' },
    ])
    log.append(1)
    await pass(1)
    expect(handled(1)).toEqual([[0], [1]])
    batch.release(() => true)
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'released' }, 1: { end: 'released', to: '2' } })
  })

  it('says by its result alone what it lets go of last', async () => {
    const { begin, own, told } = await batchGround()
    const { batch, result } = begin(await own({ 0: 1 }))
    await pass(100)
    batch.release(() => true)
    await until(result)
    expect(told).toEqual([])
  })

  it('begins nothing of a partition that it has let go of before', async () => {
    const { begin, own, log, calls } = await batchGround()
    const { batch, result } = begin(await own({ 0: 1, 1: 1 }), { attempt: 2 })
    batch.end()
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'released', to: '0' }, 1: { end: 'released' } })
    expect([calls, log.open, log.lent]).toEqual([[], 0, 0])
  })

  it('ends behind the chunks in hand when its worker drains', async () => {
    const { begin, own, log, handled } = await batchGround({ handle: () => working(3_000) })
    const { batch, result } = begin(await own({ 0: 25, 1: 0 }))
    await pass(1_000)
    batch.end()
    expect(byPartition(await until(result))).toMatchObject({ 0: { end: 'released', to: '10' }, 1: { end: 'released' } })
    expect(handled(0)).toHaveLength(1)
    expect([log.open, log.lent]).toEqual([0, 0])
  })

  it('leaves its readers to the next batch where there is more', async () => {
    const { begin, own, log, handled } = await batchGround({ batch: { maxMessages: 10 } })
    const [first] = await own({ 0: 30 })
    await until(begin([first!]).result)
    await until(begin([{ ...first!, batch: 2, from: '10' }]).result)
    expect(handled(0).flat()).toHaveLength(20)
    expect(log.opened).toEqual([{ partition: 0, from: 0n }])
    await pass(2_000)
    expect([log.open, log.lent]).toEqual([0, 0])
  })

  it('ends a bounded run at its head, and goes on with the others', async () => {
    const { begin, own, told } = await batchGround({ until: 'head' })
    const [first, second] = await own({ 0: 15, 1: 5 })
    const run = { until: 'head', began: '0', replay: 0 } as const
    const { result } = begin([
      { ...first!, run: { ...run, end: '12' } },
      { ...second!, run: { ...run, end: '20' } },
    ])
    await pass(100)
    const outcomes = byPartition(await until(result))
    expect(outcomes[0]).toMatchObject({ end: 'finished', to: '12', messages: 12 })
    // The last messages of the other one are gone: its log ends at 5.
    expect(outcomes[1]).toMatchObject({ end: 'finished', to: '5' })
    expect(told).toEqual([])
  })

  it('is over at once where a run has reached its last message before', async () => {
    const { begin, own, calls, runtime } = await batchGround({ until: ({ offset }) => offset === 3n })
    const [only] = await own({ 0: 9 })
    const earlier = { epoch: 1, batch: 0, attempt: 1 }
    await claimFrom(runtime.progress, { ...name, partition: 0 }, earlier, { from: 0n, replay: 0 })
    await runtime.progress.advance({ ...name, partition: 0 }, earlier, 0n, 4n)
    const run = { until: 'message', began: '0', replay: 0 } as const
    const { result } = begin([{ ...only!, from: '4', run }])
    expect(byPartition(await until(result))[0]).toMatchObject({ end: 'finished', to: '4', messages: 0 })
    expect(calls).toEqual([])
  })

  it('hands out no more chunks at the same time than there are slots', async () => {
    let [now, most] = [0, 0]
    const { begin, own, handled } = await batchGround({
      handle: async () => {
        most = Math.max(most, ++now)
        await working(50)
        now--
      },
      settings: { concurrency: 2 },
    })
    begin(await own({ 0: 5, 1: 5, 2: 5, 3: 5, 4: 5 }))
    await pass(1_000)
    expect(most).toBe(2)
    expect([0, 1, 2, 3, 4].map((partition) => handled(partition).length)).toEqual([1, 1, 1, 1, 1])
  })

  it('stays open while Temporal does not answer, commits by itself, and closes when it answers again', async () => {
    const { begin, own, log, reach, stored, handled, runtime } = await batchGround({
      batch: { maxMessages: 5, maxDurationMs: 10_000 },
    })
    const [first] = await own({ 0: 12 })
    const commit = vi.spyOn(runtime.store, 'commit')
    reach.heard = false
    const { result } = begin([first!])
    const timer = setInterval(() => log.append(0), 1_000)
    await pass(60_500)
    expect(handled(0).flat()).toHaveLength(72)
    expect(Number(await stored(0))).toBeGreaterThan(60)
    expect(commit.mock.calls.length).toBeLessThanOrEqual(7)
    reach.heard = true
    const before = performance.now()
    expect(byPartition(await until(result))[0]).toMatchObject({ end: 'more' })
    expect(performance.now() - before).toBeLessThanOrEqual(1_000)
    clearInterval(timer)
  })

  it('does not close before Temporal has answered, and works meanwhile', async () => {
    const { begin, own, log, reach, handled } = await batchGround({ batch: { maxDurationMs: 5_000 } })
    reach.answersIn = 3_000
    const asks = vi.spyOn(reach, 'answers')
    const { result } = begin(await own({ 0: 1 }))
    const timer = setInterval(() => log.append(0), 100)
    const before = performance.now()
    await pass(7_000)
    expect(handled(0).flat().length).toBeGreaterThanOrEqual(65)
    await until(result)
    expect(performance.now() - before).toBeCloseTo(8_000, -2)
    expect(asks).toHaveBeenCalledOnce()
    clearInterval(timer)
  })

  it('fails, and is not let go, where that is asked for while it waits to claim again what an earlier try had', async () => {
    const { runtime, begin, own, reach } = await batchGround()
    vi.spyOn(runtime.progress, 'claim').mockRejectedValue(new Error('the database is away'))
    reach.heard = false
    const { batch, result } = begin(await own({ 0: 3 }), { attempt: 2 })
    await pass(100)
    batch.end()
    await expect(until(result)).rejects.toThrow('the database is away')
  })

  it('asks its log only now and then while it waits for that answer', async () => {
    const { begin, own, reach, resources } = await batchGround({ batch: { maxDurationMs: 5_000 } })
    reach.answersIn = 5_000
    const taken = vi.spyOn(resources.readers, 'take')
    const { result } = begin(await own({ 0: 1 }))
    await pass(5_300)
    const waits = vi.spyOn(taken.mock.results[0]!.value, 'arrived')
    await until(result)
    expect(waits.mock.calls.length).toBeLessThanOrEqual(12)
  })

  it('says nothing of a partition that a later try has by now, though it was to let go of it', async () => {
    const { begin, own, told, runtime } = await batchGround()
    const { batch, result } = begin(await own({ 0: 3, 1: 3 }))
    await pass(100)
    const token = { epoch: 1, batch: 1, attempt: 2 }
    await claimFrom(runtime.progress, { ...name, partition: 0 }, token, { from: 0n, replay: 0 })
    batch.release((partition) => partition === 0)
    await pass(100)
    expect(told).toEqual([])
    batch.end()
    await until(result)
  })

  it('tries what fails again in its place while Temporal does not answer', async () => {
    let fails = 2
    const { begin, own, reach, handled } = await batchGround({
      handle: () => {
        if (fails-- > 0) throw new Error('the database is away')
      },
    })
    reach.heard = false
    begin(await own({ 0: 3 }))
    await pass(10_000)
    expect(handled(0)).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ])
  })

  it.each(['is let go of', 'is to end'])(
    'that %s claims what an earlier try had, which may be cut off and at work',
    async (how) => {
      const { runtime, own, resources, reach, handled } = await batchGround()
      const [first] = await own({ 0: 3 })
      const input = { name, slice: 0, partitions: [first!], mayLeave: 4 }
      const second = new BatchRun(runtime, input, resources, 2, reach, new TemporalClock(Date.now()))
      if (how === 'is to end') second.end()
      else second.release(() => true)
      expect(byPartition(await until(second.run()))[0]).toMatchObject({ end: 'released', to: '0' })
      expect(handled(0)).toEqual([])
      const { progress } = runtime
      const token = { epoch: 1, batch: 1, attempt: 1 }
      const claim = claimFrom(progress, { ...name, partition: 0 }, token, { from: 0n, replay: 0 })
      await expect(claim).rejects.toMatchObject({ code: 'FENCED' })
    },
  )

  it('fails, and is not let go, where what an earlier try had could not be claimed', async () => {
    const { runtime, own, resources, reach } = await batchGround()
    const [first] = await own({ 0: 3 })
    vi.spyOn(runtime.progress, 'claim').mockRejectedValue(new Error('the database is away'))
    const second = new BatchRun(
      runtime,
      { name, slice: 0, partitions: [first!], mayLeave: 4 },
      resources,
      2,
      reach,
      new TemporalClock(Date.now()),
    )
    second.release(() => true)
    reach.heard = false
    const result = second.run()
    result.catch(() => {})
    await expect(until(result)).rejects.toThrow('the database is away')
  })

  it('fails, and is not let go in its pause, where what an earlier try had could not be claimed', async () => {
    const { begin, own, runtime, reach } = await batchGround()
    const partitions = await own({ 0: 3 })
    const claim = vi.spyOn(runtime.progress, 'claim').mockRejectedValue(new Error('the database is away'))
    reach.heard = false
    const { batch, result } = begin(partitions, { attempt: 2 })
    await pass(100)
    expect(claim).toHaveBeenCalledOnce()
    batch.release(() => true)
    await expect(until(result)).rejects.toThrow('the database is away')
  })

  it('asks its log only now and then while Temporal does not answer and nothing comes', async () => {
    const { begin, own, reach, resources } = await batchGround({ batch: { maxDurationMs: 10_000 } })
    const partitions = await own({ 0: 1, 1: 0 })
    const taken = vi.spyOn(resources.readers, 'take')
    reach.heard = false
    begin(partitions)
    await pass(20_000)
    const waits = vi.spyOn(taken.mock.results[1]!.value, 'arrived')
    await pass(100_000)
    expect(waits.mock.calls.length).toBeLessThanOrEqual(200)
  })
})
