import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { AfterLastTry } from '../../../src/model/policy.js'
import { batchGround, byPartition, deadLetterPolicy, failureSettings, name } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const key = { ...name, partition: 0 }
const letters: AfterLastTry = deadLetterPolicy

async function ground(afterLastTry: AfterLastTry, bad: Set<number>) {
  const all = await batchGround({
    handle: (messages) => {
      for (const { offset } of messages) if (bad.has(Number(offset))) throw new Error(`bad ${offset}`)
    },
    settings: { failures: failureSettings({ isolate: true, attempts: 1, outageAfter: null, afterLastTry }) },
  })
  await all.runtime.records.ensure(name, { slices: 1, partitions: [0] })
  const paused = async () => (await all.runtime.records.read(name))?.paused.partitions.get(0)
  return { ...all, paused }
}

describe('a partition that sets messages aside', () => {
  it('is not full because messages that are set aside come again after a reset', async () => {
    const bad = new Set([0, 1, 2])
    const { own, begin, paused, runtime, log } = await ground(
      { ...letters, limits: { ...letters.limits, messages: 6 } },
      bad,
    )
    log.keyOf = (offset) => `k${offset % 3n}`
    const owned = await own({ 0: 6 })
    const first = begin(owned)
    await pass(1_000)
    first.batch.end()
    await until(first.result)
    await runtime.progress.begin(key, { position: 0n, replay: 1, identity: null })
    const second = begin(owned.map((one) => ({ ...one, epoch: 2, replay: 1 })))
    await pass(1_000)
    second.batch.end()
    await until(second.result)
    expect(await paused()).toBeUndefined()
    expect((await runtime.progress.read(key))?.position).toBe(6n)
  })

  it('is not paused by a worker that has lost it', async () => {
    const { own, begin, runtime, paused } = await ground({ policy: 'pause' }, new Set([0]))
    const { write } = runtime.troubles
    // Frozen right before the pause; another worker goes on meanwhile.
    vi.spyOn(runtime.troubles, 'write').mockImplementation(async (...written) => {
      await write.apply(runtime.troubles, written)
      await runtime.progress.claim(key, { epoch: 1, batch: 2, attempt: 1, owner: 'b' }, { from: 0n, replay: 0 })
    })
    const { 0: outcome } = byPartition(await until(begin(await own({ 0: 1 })).result))
    expect(outcome?.end).not.toBe('blocked')
    expect(await paused()).toBeUndefined()
  })
})

describe('a partition that waits to be tried alone on its worker', () => {
  it('has not failed when its batch closes', async () => {
    const { own, begin, runtime, lines } = await ground(letters, new Set())
    await runtime.troubles.write(
      key,
      { epoch: 1, batch: 0, attempt: 0, owner: '' },
      { replay: 0, suspect: { until: '9', crashes: 1 } },
    )
    // Another partition of this worker is being tried.
    await runtime.quarantine.take({ or: () => Promise.reject(new Error('there is a free one')) } as never)
    const { batch, result } = begin(await own({ 0: 2, 1: 1 }), { closesInMs: 2_000 })
    await pass(10_000)
    batch.end()
    const { 0: outcome } = byPartition(await until(result))
    expect(outcome?.end).not.toBe('failed')
    expect(lines.filter(({ message }) => message.includes('before it was tried again'))).toEqual([])
  })
})
