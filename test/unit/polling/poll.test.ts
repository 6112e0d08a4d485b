import { getEventListeners } from 'node:events'
import { MockActivityEnvironment } from '@temporalio/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPoll } from '../../../activities/poll.js'
import type { ConsumerRuntime } from '../../../activities/runtime.js'
import type { PollResult } from '../../../src/model/batch.js'
import { TidemarkError } from '../../../src/model/errors.js'
import type { Progress } from '../../../src/ports/index.js'
import { batchGround, name } from '../../support/batch-ground.js'
import { FakeCluster } from '../../support/fake-cluster.js'
import { virtualTime } from '../../support/virtual-time.js'

beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime
const idOf = (slice: number) => `tidemark/billing/orders/${slice}`

/** A group of partitions 0 to 3 in two slices, which both work. */
async function polling(before: (runtime: ConsumerRuntime) => Promise<void> = async () => {}) {
  const { runtime, log, draining } = await batchGround()
  await runtime.records.ensure(name, { slices: 2, partitions: [0, 1, 2, 3] })
  await before(runtime)
  const cluster = new FakeCluster()
  for (const slice of [0, 1]) cluster.working(idOf(slice))
  for (const partition of [0, 1, 2, 3]) log.append(partition)
  const handled = new Map<number, bigint | null | Error>()
  const read = async ({ partition }: { partition: number }): Promise<Progress | null> => {
    const position = handled.get(partition) ?? (handled.has(partition) ? null : 100n)
    if (position instanceof Error) throw position
    const token = { epoch: 1, batch: 1, attempt: 1 }
    return position === null ? null : { position, token, replay: 0, identity: null, witness: null }
  }
  const progress = Object.assign(Object.create(runtime.progress), { read })
  const poll = createPoll({ ...runtime, progress, cluster } satisfies ConsumerRuntime)
  const environment = new MockActivityEnvironment()
  const result: Promise<PollResult> = environment.run(() =>
    poll({ name, partitions: [0, 1, 2, 3], slices: 2, generation: 1, pauses: { group: null, partitions: [] } }),
  )
  result.catch(() => {})
  return { cluster, log, draining, environment, result, handled, source: runtime.source }
}

describe('a poll', () => {
  it('waits while all slices run and nothing is new', async () => {
    const { result, draining } = await polling()
    const before = Date.now()
    const listening = getEventListeners(draining.signal, 'abort').length
    expect(await until(result)).toEqual({ added: [], missing: [], stopped: [] })
    // The worker lives longer than its polls.
    expect(getEventListeners(draining.signal, 'abort')).toHaveLength(listening - 1)
    expect((Date.now() - before) / 60_000).toBeCloseTo(60, 0)
  })

  it('wakes a slice that rests, and waits on', async () => {
    const { cluster, log } = await polling()
    await pass(3_000)
    cluster.resting(idOf(1), 1, { 1: ['1', null], 3: ['1', null] })
    await pass(2_000)
    expect(cluster.signals).toEqual([])
    log.append(3)
    await pass(1)
    expect(cluster.signals).toEqual([`${idOf(1)}: wake`])
  })

  it('looks at slices that rest every ten seconds only', async () => {
    const { cluster } = await polling()
    cluster.resting(idOf(1), 1, { 1: ['1', null] })
    await pass(40_000)
    const looks = (slice: number) => cluster.looks.filter((id) => id === idOf(slice)).length
    expect(looks(0)).toBeGreaterThanOrEqual(20)
    expect(looks(1)).toBeLessThanOrEqual(6)
  })

  it('looks soon at a slice that it has woken, and waits for it again when it rests again', async () => {
    const { cluster, log } = await polling()
    cluster.resting(idOf(1), 1, { 1: ['1', null], 3: ['1', null] })
    await pass(12_500)
    log.append(3)
    // The look at 14 s finds it at rest as before: the signal is still on its way.
    await pass(2_000)
    cluster.resting(idOf(1), 2, { 1: ['1', null], 3: ['2', null] })
    await pass(2_000)
    log.append(1)
    await pass(1)
    expect(cluster.signals).toEqual([`${idOf(1)}: wake`, `${idOf(1)}: wake`])
  })

  it.each([
    ['set back', 3n],
    ['emptied', null],
  ])("wakes a slice that rests where its handlers' database was %s", async (_, position) => {
    const { cluster, handled } = await polling()
    cluster.resting(idOf(0), 1, { 0: ['7', null], 2: ['7', null] })
    cluster.resting(idOf(1), 1, { 1: ['7', null], 3: ['7', null] })
    handled.set(3, 7n)
    await pass(30_000)
    expect(cluster.signals).toEqual([])
    handled.set(3, position)
    await pass(12_000)
    expect(cluster.signals).toEqual([`${idOf(1)}: wake`])
  })

  it('leaves slices at rest while the database does not answer', async () => {
    const { cluster, handled } = await polling()
    cluster.resting(idOf(1), 1, { 1: ['7', null], 3: ['7', null] })
    handled.set(1, 3n).set(3, new Error('the connection ended'))
    await pass(30_000)
    expect(cluster.signals).toEqual([])
  })

  it('says at once that its group does not know what a person has paused', async () => {
    const { result } = await polling(async ({ records }) => {
      await records.pause(name, { by: 'anna', why: 'a look', partitions: [1] })
    })
    expect(await until(result)).toEqual({ outdated: true, added: [], missing: [], stopped: [] })
  })

  it('says that its group has other slices by now', async () => {
    const { result } = await polling(async ({ records }) => {
      await records.reslice(name, { from: 1, slices: 4, by: 'anna', why: '' })
    })
    expect(await until(result)).toMatchObject({ outdated: true })
  })

  it('says that a person has stopped its group', async () => {
    const { result } = await polling(async ({ records }) => {
      await records.stop(name, { by: 'anna', why: '', how: 'cancelled' })
    })
    expect(await until(result)).toMatchObject({ outdated: true })
  })

  it('says which partitions were added', async () => {
    const { result, log } = await polling()
    log.append(4)
    expect(await until(result)).toEqual({ added: [4], missing: [], stopped: [] })
  })

  it('says which slices are missing, once they have been for a while', async () => {
    const { result, cluster } = await polling()
    await pass(4_000)
    cluster.workflows.delete(idOf(0))
    await pass(9_000)
    expect(await Promise.race([result, 'waits'])).toBe('waits')
    expect(await until(result)).toEqual({ added: [], missing: [0], stopped: [] })
  })

  it('says which slices a person has ended', async () => {
    const { result, cluster } = await polling()
    cluster.ended(idOf(1), 'terminated')
    expect(await until(result)).toEqual({ added: [], missing: [], stopped: [{ slice: 1, how: 'terminated' }] })
  })

  it('ends when its worker drains, or it is cancelled', async () => {
    for (const how of ['drains', 'cancelled']) {
      const { result, draining, environment } = await polling()
      await pass(1_000)
      if (how === 'drains') draining.abort()
      else environment.cancel()
      await pass(0)
      expect(await Promise.race([result, 'waits'])).toEqual({ added: [], missing: [], stopped: [] })
    }
  })

  it('leaves a log that does not answer to another worker after a while', async () => {
    const { result, source } = await polling()
    vi.spyOn(source, 'partitions').mockRejectedValue(new TidemarkError('UNREACHABLE', 'no broker answers'))
    const before = Date.now()
    await expect(until(result)).rejects.toMatchObject({ type: 'UNREACHABLE', message: 'no broker answers' })
    expect(Date.now() - before).toBeLessThanOrEqual(24_000)
  })

  it('waits on where the stream is gone: its partitions say so', async () => {
    const { result, source } = await polling()
    vi.spyOn(source, 'partitions').mockRejectedValue(new TidemarkError('STREAM_NOT_FOUND', 'no such topic'))
    await pass(60_000)
    expect(await Promise.race([result, 'waits'])).toBe('waits')
  })

  it('goes on through an outage of Temporal', async () => {
    const { result, cluster, log } = await polling()
    cluster.away = true
    await pass(60_000)
    log.append(4)
    cluster.away = false
    expect(await until(result)).toMatchObject({ added: [4] })
  })
})
