import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { PartitionRun } from '../../../activities/batch/partition-run.js'
import { TemporalClock } from '../../../activities/failing/temporal-clock.js'
import type { PartitionBatch } from '../../../src/model/batch.js'
import { batchGround, name } from '../../support/batch-ground.js'
import { claimFrom } from '../../support/claim.js'
import { virtualTime } from '../../support/virtual-time.js'

beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass } = virtualTime

const key = { ...name, partition: 0 }
const goesOn = () => false

const begun = (attempt: number) => ({ attempt, apart: false, lost: () => false, clock: new TemporalClock(Date.now()) })

async function ground(head: number, given: Parameters<typeof batchGround>[0] = {}) {
  const all = await batchGround(given)
  const [batch] = await all.own({ 0: head })
  const run = (change: Partial<PartitionBatch> = {}, attempt = 1) =>
    new PartitionRun(all.runtime, all.resources, key, { ...batch!, ...change }, begun(attempt))
  return { ...all, run }
}

describe("a partition's run", () => {
  it('begins where its progress is, ahead of its plan', async () => {
    const { run, runtime } = await ground(9)
    const earlier = { epoch: 1, batch: 1, attempt: 1 }
    await claimFrom(runtime.progress, key, earlier, { from: 0n, replay: 0 })
    await runtime.progress.advance(key, earlier, 0n, 6n)
    const second = run({}, 2)
    await second.open()
    expect(second.position).toBe(6n)
    expect((await second.next(100, 100))?.from).toBe(6n)
  })

  it('begins where its replay does after a reset, and is opened again where progress knows nothing of that', async () => {
    const { run, runtime } = await ground(9)
    const earlier = { epoch: 1, batch: 1, attempt: 1 }
    await claimFrom(runtime.progress, key, earlier, { from: 0n, replay: 0 })
    await runtime.progress.advance(key, earlier, 0n, 6n)
    const replayed = run({ epoch: 2, replay: 1, from: '2' })
    await expect(replayed.open()).rejects.toMatchObject({ code: 'POSITION_CHANGED' })
    await runtime.progress.begin(key, { position: 2n, replay: 1, identity: null })
    await replayed.open()
    expect(replayed.position).toBe(2n)
  })

  it('gives its reader the witness of what was handled last, also when it begins again', async () => {
    const { run, log } = await ground(9)
    log.hasWitness = true
    const first = run()
    await first.open()
    await first.handle((await first.next(4, 100))!, goesOn)
    await first.again()
    await first.close(false)
    await run({}, 2).open()
    expect(log.opened.map(({ from, witness }) => [from, witness])).toEqual([
      [0n, null],
      [4n, 'behind 3'],
      [4n, 'behind 3'],
    ])
  })

  it.each([
    ['set back', { position: 2n }],
    ['emptied', null],
  ])("is opened again where its handlers' database is %s while it waits", async (_, change) => {
    const { run, runtime } = await ground(4)
    const one = run()
    await one.open()
    await one.handle((await one.next(9, 100))!, goesOn)
    /** Waits for messages, as a batch does, for so many ms. */
    const waits = async (ms: number) => {
      for (const end = performance.now() + ms; performance.now() < end; ) {
        const next = one.next(9, 1_000)
        await pass(1_000)
        expect(await next).toBeNull()
        await one.idle()
      }
    }
    await waits(30_000)
    const { progress } = runtime
    const there = await progress.read(key)
    const read = vi.spyOn(progress, 'read').mockRejectedValue(new Error('the connection ended'))
    await waits(15_000)
    expect(read).toHaveBeenCalled()
    read.mockResolvedValue(change && { ...there!, ...change })
    await expect(waits(15_000)).rejects.toMatchObject({ code: 'POSITION_CHANGED', effect: 'reopen' })
  })

  it('keeps no witness of a chunk whose end belongs to no run', async () => {
    const { run, log } = await ground(9, { until: ({ offset }) => offset === 2n })
    log.hasWitness = true
    const first = run({ run: { until: 'message', began: '0', replay: 0 } })
    await first.open()
    expect(await first.handle((await first.next(9, 100))!, goesOn)).toBe(true)
    await first.close(false)
    await run({}, 2).open()
    expect(log.opened.at(-1)).toMatchObject({ from: 3n, witness: null })
  })

  it('refuses a stream that was made anew, and one that got its name only now', async () => {
    const { run, log } = await ground(1)
    log.identities.set(0, 'second')
    await expect(run({ identity: 'first' }).open()).rejects.toMatchObject({ code: 'POSITION_CHANGED' })
    await expect(run({ identity: null }).open()).rejects.toMatchObject({ code: 'POSITION_CHANGED' })
    expect(await run({ identity: 'second' }).open()).toBe(false)
  })

  it('begins no chunk that comes too late, and keeps it', async () => {
    const { run, log, calls, runtime } = await ground(3, { settings: { concurrency: 1 } })
    const one = run()
    await one.open()
    const chunk = (await one.next(100, 100))!
    expect(await one.handle(chunk, () => true)).toBeNull()
    expect([calls.length, one.position, log.lent]).toEqual([0, 0n, 1])
    // The slot is free for others.
    const giveBack = await runtime.slots.take(one.interrupt)
    giveBack!()
    expect(await one.next(100, 100)).toBe(chunk)
    expect(await one.handle(chunk, goesOn)).toBe(false)
    expect([one.position, one.messages, log.lent]).toEqual([3n, 3, 0])
  })

  it('asks for no more than the batch, the chunk and the commits allow', async () => {
    const { run } = await ground(50, { settings: { commit: { after: 'messages', messages: 4 } } })
    const one = run()
    await one.open()
    const first = (await one.next(100, 100))!
    expect(first.messages).toHaveLength(4)
    await one.handle(first, goesOn)
    expect((await one.next(3, 100))?.messages).toHaveLength(3)
  })

  it('learns nothing of the size of chunks from one that failed', async () => {
    const chunk = { maxMessages: 10_000, fetchBytes: 1_000_000, targetMs: 2_000 }
    let fails = true
    const handle = () => {
      if (fails) throw new Error('at once')
    }
    const { run, resources } = await ground(500, { settings: { chunk }, handle })
    const one = run()
    await one.open()
    await expect(one.handle((await one.next(1_000, 100))!, goesOn)).rejects.toThrow('at once')
    expect(resources.chunkSize.messages).toBe(100)
    fails = false
    await one.again()
    await one.handle((await one.next(1_000, 100))!, goesOn)
    expect(resources.chunkSize.messages).toBe(10_000)
  })

  it('reads and handles again what failed', async () => {
    let fails = true
    const { run, handled, log } = await ground(3, {
      handle: () => {
        if (fails) throw new Error('no such account')
      },
    })
    const one = run()
    await one.open()
    await expect(one.handle((await one.next(100, 100))!, goesOn)).rejects.toThrow('no such account')
    expect([one.position, one.handlingSince, log.lent]).toEqual([0n, null, 0])
    fails = false
    await one.again()
    await one.handle((await one.next(100, 100))!, goesOn)
    expect([one.position, handled(0)]).toEqual([
      3n,
      [
        [0, 1, 2],
        [0, 1, 2],
      ],
    ])
  })

  it('goes on behind a commit whose answer was lost', async () => {
    const { run, runtime } = await ground(3)
    const one = run()
    await one.open()
    const advance = runtime.progress.advance.bind(runtime.progress)
    vi.spyOn(runtime.progress, 'advance').mockImplementationOnce(async (...call) => {
      await advance(...call)
      throw new Error('connection reset')
    })
    await expect(one.handle((await one.next(100, 100))!, goesOn)).rejects.toThrow('connection reset')
    await one.again()
    expect(one.position).toBe(3n)
  })

  it('commits once when it becomes idle, and again after more', async () => {
    const { run, log, stored } = await ground(2)
    const one = run()
    await one.open()
    await one.handle((await one.next(100, 100))!, goesOn)
    expect(await one.idle()).toBe(false)
    expect(await stored(0)).toBe(0n)
    // The wait itself ends when the partition counts as idle.
    const wait = one.next(100, 60_000)
    await pass(2_000)
    expect(await wait).toBeNull()
    await one.idle()
    expect(await stored(0)).toBe(2n)
    log.append(0)
    await one.handle((await one.next(100, 100))!, goesOn)
    await pass(2_000)
    await one.idle()
    expect(await stored(0)).toBe(3n)
  })

  it('commits periodically though nothing more comes', async () => {
    const { run, stored } = await ground(2, { settings: { commit: { after: 'interval', intervalMs: 500 } } })
    const one = run()
    await one.open()
    await one.handle((await one.next(100, 100))!, goesOn)
    const wait = one.next(100, 60_000)
    await pass(500)
    expect(await wait).toBeNull()
    await one.idle()
    expect(await stored(0)).toBe(2n)
  })

  it('says how far it came, and what is committed', async () => {
    const { run } = await ground(25, { settings: { commit: { after: 'messages', messages: 1_000 } } })
    const one = run()
    await one.open()
    await one.handle((await one.next(100, 100))!, goesOn)
    expect(one.outcome('more')).toEqual({
      partition: 0,
      epoch: 1,
      batch: 1,
      to: '10',
      messages: 10,
      head: '25',
      end: 'more',
    })
    await one.close(false)
    expect(one.outcome('failed', 'no such account')).toMatchObject({ committed: '10', reason: 'no such account' })
  })

  it('gives back after a failure what a handler was given and did not store', async () => {
    const { run, handled } = await ground(4, {
      settings: { commit: { after: 'manual', intervalMs: 60_000 } },
      handle: (messages, { storeOffset }) => storeOffset(messages[1]!),
    })
    const one = run()
    await one.open()
    await one.handle((await one.next(100, 100))!, goesOn)
    expect(one.position).toBe(4n)
    await one.close(true)
    const next = run({ batch: 2, from: '4' })
    await next.open()
    expect(next.position).toBe(4n)
    await next.abandon()
    await next.again()
    expect(next.position).toBe(2n)
    await next.handle((await next.next(100, 100))!, goesOn)
    expect(handled(0)).toEqual([
      [0, 1, 2, 3],
      [2, 3],
    ])
  })
})
