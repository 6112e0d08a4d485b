import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Slots } from '../../../activities/batch/slots.js'
import { DownstreamUnavailable } from '../../../src/model/handler-errors.js'
import type { AfterLastTry } from '../../../src/model/policy.js'
import type { LetterFilter, LetterRequest, Message } from '../../../src/ports/index.js'
import { batchGround, byPartition, deadLetterPolicy, failureSettings, name } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const key = { ...name, partition: 0 }
const letters: AfterLastTry = { ...deadLetterPolicy, limits: { keys: 100, messages: 1_000, ageMs: null } }

/** Offset 1 fails at once, so that its key, every third message, is set aside. */
async function ground(messages: number, afterLastTry: Partial<AfterLastTry> = {}, keys = 3n) {
  const bad = new Map<number, unknown>([[1, new Error('bad 1')]])
  const done: number[] = []
  const all = await batchGround({
    handle: (messages) => {
      for (const { offset } of messages) if (bad.has(Number(offset))) throw bad.get(Number(offset))
      done.push(...messages.map(({ offset }) => Number(offset)))
    },
    settings: {
      failures: failureSettings({
        isolate: true,
        attempts: 1,
        afterLastTry: { ...letters, ...afterLastTry } as AfterLastTry,
      }),
    },
  })
  all.log.keyOf = (offset) => `k${offset % keys}`
  const owned = await all.own({ 0: messages })
  let batch = 0
  /** Works a batch for so long. */
  const work = async (ms = 1_000) => {
    const from = String((await all.runtime.progress.read(key))?.position ?? 0n)
    batch++
    const { batch: run, result } = all.begin(owned.map((one) => ({ ...one, from, batch })))
    await pass(ms)
    run.end()
    return byPartition(await until(result))[0]!
  }
  const ask = (what: LetterRequest['what'], filter: LetterFilter = {}, more: object = {}) =>
    all.runtime.letters.request({ ...name, ...filter }, { what, by: 'ann', reason: 'mended', ...more })
  const states = async () =>
    (await all.runtime.letters.list({ ...name, states: ['waiting', 'due', 'leaving'] }, { limit: 100 })).map(
      ({ offset, state, tries }) => [Number(offset), state, tries],
    )
  await work()
  done.length = 0
  return { ...all, bad, done, work, ask, states }
}

describe('messages that were set aside', () => {
  it('are handled when a person asks, the first of a key first, and the key opens', async () => {
    const { work, ask, bad, done, states, log } = await ground(9)
    expect(await states()).toEqual([
      [1, 'waiting', 1],
      [4, 'waiting', 0],
      [7, 'waiting', 0],
    ])
    bad.clear()
    await ask('redrive')
    await work()
    expect(done).toEqual([1, 4, 7])
    expect(await states()).toEqual([])
    log.append(0, 3)
    await work()
    expect(done).toEqual([1, 4, 7, 9, 10, 11])
  })

  it('have the idempotency keys that they had', async () => {
    const { work, ask, bad, runtime } = await ground(3)
    bad.clear()
    const keys: string[] = []
    Object.assign(runtime.handler, {
      handle: (messages: readonly { idempotencyKey: string }[]) =>
        void keys.push(...messages.map((one) => one.idempotencyKey)),
    })
    await ask('redrive')
    await work()
    expect(keys).toEqual(['billing/orders/0/1/0'])
  })

  it('stop at the first of a key that fails again, and other keys go on', async () => {
    const { work, ask, bad, done, states } = await ground(9)
    bad.set(4, new Error('bad 4'))
    bad.delete(1)
    await ask('redrive')
    await work()
    expect(done).toEqual([1])
    expect(await states()).toEqual([
      [4, 'waiting', 1],
      [7, 'waiting', 0],
    ])
  })

  it('are no others than those asked for', async () => {
    const { work, ask, bad, done, states, log } = await ground(3)
    bad.clear()
    bad.set(5, new Error('bad 5'))
    log.append(0, 3)
    await work()
    done.length = 0
    bad.clear()
    await ask('redrive', { key: 'k2' })
    await work()
    expect(done).toEqual([5])
    expect((await states()).map(([offset]) => offset)).toEqual([1, 4])
  })

  it('are discarded, with or without those behind', async () => {
    const { work, ask, bad, done, states } = await ground(9)
    bad.clear()
    await ask('discard', { id: undefined } as never, { followers: 'discard' }).catch(() => {})
    await work()
    expect(done).toEqual([])
    expect(await states()).toEqual([])
  })

  it('wait with their partition for what the handler needs', async () => {
    const { work, ask, bad, done, states } = await ground(6)
    bad.set(1, new DownstreamUnavailable('payments'))
    await ask('redrive')
    await work(20_000)
    expect(done).toEqual([])
    expect(await states()).toEqual([
      [1, 'due', 1],
      [4, 'due', 0],
    ])
    bad.clear()
    await work(10_000)
    expect(done).toEqual([1, 4])
  })

  it('are handled no faster than asked for', async () => {
    const { work, ask, bad, done } = await ground(90, {}, 1n)
    bad.clear()
    await ask('redrive', {}, { perSecond: 10 })
    await work(3_500)
    expect(done.length).toBeGreaterThanOrEqual(30)
    expect(done.length).toBeLessThanOrEqual(45)
  })

  it('come back by themselves after their delays, and wait for a person after the last one', async () => {
    const { work, done, states, bad } = await ground(6, { delaysMs: [60_000, 600_000] })
    const [, [, , triesBehind]] = (await states()) as [unknown, [number, string, number]]
    expect(triesBehind).toBe(0)
    const outcome = await work(10)
    expect(Date.parse(outcome.dueAt!) - Date.now()).toBeLessThanOrEqual(60_000)
    await work(55_000)
    await work(10_000)
    expect((await states())[0]).toEqual([1, 'waiting', 2])
    expect(done).toEqual([])
    for (let minute = 1; minute <= 9; minute++) await work(55_000)
    expect((await states())[0]).toEqual([1, 'waiting', 2])
    for (let minute = 10; minute <= 12; minute++) await work(55_000)
    expect((await states())[0]).toEqual([1, 'waiting', 3])
    expect((await work(10)).dueAt).toBeUndefined()
    bad.clear()
  })

  it('come back in the order of their key once the first is handled', async () => {
    const { work, done, states, bad } = await ground(9, { delaysMs: [60_000] })
    bad.clear()
    await work(65_000)
    expect(done).toEqual([1, 4, 7])
    expect(await states()).toEqual([])
  })

  it('are not tried behind one of their key that has failed, where a chunk is not halved', async () => {
    const { work, ask, bad, done, states, runtime } = await ground(9)
    Object.assign(runtime.settings.failures, { isolate: false })
    await ask('redrive')
    await work()
    expect(done).toEqual([])
    expect(await states()).toEqual([
      [1, 'waiting', 2],
      [4, 'waiting', 0],
      [7, 'waiting', 0],
    ])
    bad.clear()
    await ask('redrive')
    await work()
    expect(done).toEqual([1, 4, 7])
  })

  it('are tried again at once after a deadlock', async () => {
    const { work, ask, bad, done, states, runtime } = await ground(3)
    let deadlocks = 2
    const { handle } = runtime.handler as { handle: (...all: unknown[]) => Promise<void> }
    bad.clear()
    Object.assign(runtime.handler, {
      handle: async (messages: readonly Message[], context: unknown) => {
        if (deadlocks-- > 0) throw Object.assign(new Error('deadlock'), { code: '40P01' })
        await handle(messages, context)
      },
    })
    await ask('redrive')
    await work()
    expect([done, await states()]).toEqual([[1], []])
  })

  it('come back by themselves, too, where they only came behind another one and fail at their own first try', async () => {
    const { work, done, states, bad } = await ground(6, { delaysMs: [60_000, 600_000] })
    bad.delete(1)
    bad.set(4, new Error('bad 4'))
    await work(55_000)
    await work(10_000)
    expect([done, await states()]).toEqual([[1], [[4, 'waiting', 1]]])
    // After the first delay and the second one.
    const { dueAt } = await work(10)
    expect(Date.parse(dueAt!) - Date.now()).toBeLessThanOrEqual(60_000)
    await work(55_000)
    await work(10_000)
    expect(await states()).toEqual([[4, 'waiting', 2]])
    expect(Date.parse((await work(10)).dueAt!) - Date.now()).toBeGreaterThan(500_000)
  })

  it('wait for a person again once workers were lost at one of them, and others are handled', async () => {
    const { ask, bad, done, states, begin, reach, runtime, log, work } = await ground(6)
    bad.set(2, new Error('bad 2'))
    bad.set(6, new Error('bad 6'))
    log.append(0, 1)
    await work()
    bad.clear()
    done.length = 0
    await ask('redrive')
    let lost = 0
    let die = () => {}
    const { handle } = runtime.handler as { handle: (...all: unknown[]) => Promise<void> }
    Object.assign(runtime.handler, {
      handle: async (messages: readonly Message[], context: unknown) => {
        if (messages.some(({ offset }) => offset === 1n)) {
          lost++
          die()
          await new Promise(() => {})
        }
        await handle(messages, context)
      },
    })
    for (let attempt = 1; attempt <= 12; attempt++) {
      Object.assign(runtime, { quarantine: new Slots(1), slots: new Slots(100) })
      const died = new Promise<'died'>((resolve) => {
        die = () => resolve('died')
      })
      const from = String((await runtime.progress.read(key))!.position)
      const { batch, result } = begin([{ partition: 0, from, epoch: 1, batch: 9, replay: 0, identity: null }], {
        attempt,
      })
      const failed = result.then(
        () => 'ended' as const,
        () => 'failed' as const,
      )
      const idle = pass(3_000).then(() => 'idle' as const)
      const how = await Promise.race([died, failed, idle])
      await idle
      reach.lost = how === 'died'
      if (how === 'idle') batch.end()
      if (how === 'idle') break
    }
    expect(lost).toBeLessThanOrEqual(5)
    expect(done.sort()).toEqual([6])
    expect(await states()).toEqual([
      [1, 'waiting', 2],
      [4, 'waiting', 0],
    ])
    const [letter] = await runtime.letters.list({ ...name, class: 'crash' }, { limit: 1 })
    expect(letter).toMatchObject({ offset: 1n, code: 'WORKER_LOST' })
  })
})
