import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TidemarkError } from '../../../src/model/errors.js'
import type { Chunk } from '../../../src/ports/index.js'
import { batchGround, byPartition } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const away = () => new TidemarkError('DECODER_FAILED', 'the decoder failed at orders[1] offset 0')

/** Decodes a chunk in so many ms, unless it is stopped first. */
const inTime =
  (ms: number) =>
  (chunk: Chunk, signal: AbortSignal): Promise<Chunk | null> =>
    new Promise((resolve) => {
      setTimeout(() => resolve(chunk), ms)
      signal.addEventListener('abort', () => {
        chunk.release()
        resolve(null)
      })
    })

const failing = async (chunk: Chunk) => {
  chunk.release()
  throw away()
}

describe('a batch with an asynchronous decoder', () => {
  it('lets a partition leave whose decoder fails, as one whose handler fails, and its neighbours go on', async () => {
    const { begin, own, told, log, handled } = await batchGround()
    log.decodes(1, failing)
    const { batch, result } = begin(await own({ 0: 1, 1: 1, 2: 0 }))
    await pass(300)
    expect(told).toMatchObject([{ partition: 1, end: 'failed', to: '0', messages: 0 }])
    expect(told[0]).toHaveProperty('reason', 'the decoder failed at orders[1] offset 0')
    log.append(2)
    await pass(1)
    expect([handled(1), handled(2)]).toEqual([[], [[0]]])
    batch.end()
    await until(result)
    expect([log.open, log.lent]).toEqual([0, 0])
  })

  it('tries a partition again in its place where none may leave, and loses nothing', async () => {
    const { begin, own, log, handled } = await batchGround()
    log.decodes(1, failing)
    const { batch, result } = begin(await own({ 0: 1, 1: 3 }), { mayLeave: 0 })
    await pass(300)
    log.decodes(1, inTime(10))
    await pass(2_000)
    expect(handled(1)).toEqual([[0, 1, 2]])
    batch.end()
    expect(byPartition(await until(result))[1]).toMatchObject({ end: 'released', to: '3' })
  })

  it('stops in front of a message that can not be decoded, once those before it are handled', async () => {
    const { begin, own, log, handled } = await batchGround()
    log.decodes(0, async (chunk) => ({
      ...chunk,
      next: 2n,
      messages: chunk.messages.slice(0, 2),
      poison: { error: new TidemarkError('UNDECODABLE', 'no such schema'), raw: null, next: 3n },
    }))
    const { result } = begin(await own({ 0: 5 }))
    const [outcome] = (await until(result)).partitions
    expect(outcome).toMatchObject({ end: 'blocked', to: '2', reason: 'no such schema' })
    expect(handled(0)).toEqual([[0, 1]])
    expect([log.open, log.lent]).toEqual([0, 0])
  })

  it('lets go at once, also of values that are still being decoded', async () => {
    const { begin, own, log } = await batchGround()
    log.decodes(0, inTime(25_000))
    const { batch, result } = begin(await own({ 0: 5 }))
    await pass(1_000)
    const before = performance.now()
    batch.end()
    expect((await until(result)).partitions).toMatchObject([{ end: 'released', to: '0' }])
    expect(performance.now() - before).toBeLessThan(500)
    expect([log.open, log.lent]).toEqual([0, 0])
  })

  it('does not come to rest while values are decoded', async () => {
    const { begin, own, log, handled } = await batchGround({ batch: { restAfterMs: 5_000 } })
    log.decodes(1, inTime(20_000))
    const { batch, result } = begin(await own({ 0: 0, 1: 1 }))
    await pass(21_000)
    expect(handled(1)).toEqual([[0]])
    batch.end()
    await until(result)
  })

  it('that is full passes values that are still being decoded to the batch behind it', async () => {
    const { begin, own, log, handled } = await batchGround({ batch: { maxMessages: 10 } })
    let chunks = 0
    log.decodes(1, (chunk, signal) => {
      chunks++
      return inTime(3_000)(chunk, signal)
    })
    const owned = await own({ 0: 10, 1: 2 })
    const ends = (await until(begin(owned).result)).partitions
    expect(ends.at(-1)).toMatchObject({ partition: 1, end: 'more', to: '0' })
    const behind = ends.map(({ partition, to }) => ({ ...owned[partition]!, batch: 2, from: to }))
    const { batch, result } = begin(behind)
    await pass(3_500)
    expect([handled(1), chunks]).toEqual([[[0, 1]], 1])
    batch.end()
    await until(result)
  })
})
