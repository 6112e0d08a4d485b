import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { MemoryTransaction } from '../../../src/memory/store/transaction.js'
import { DownstreamUnavailable, PartialFailure } from '../../../src/model/handler-errors.js'
import type { AfterLastTry } from '../../../src/model/policy.js'
import type { Message } from '../../../src/ports/index.js'
import { batchGround, deadLetterPolicy, failureSettings, name } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const key = { ...name, partition: 0 }
const deadLetter: AfterLastTry = deadLetterPolicy

/** A plain handler that names the messages which `bad` has an error for, and is done with the others. */
async function ground(bad: Map<number, unknown>, attempts: number, keyOf: (offset: bigint) => string | null) {
  const done: number[] = []
  const all = await batchGround({
    handle: (messages) => {
      const failed = messages.filter(({ offset }) => bad.has(Number(offset)))
      for (const { offset } of messages) if (!bad.has(Number(offset))) done.push(Number(offset))
      if (failed.length > 0) throw new PartialFailure(failed, bad.get(Number(failed[0]!.offset)))
    },
    settings: { failures: failureSettings({ attempts, afterLastTry: deadLetter }) },
  })
  all.log.keyOf = keyOf
  const owned = await all.own({ 0: 0 })
  let batch = 0
  const work = async (ms = 1_000) => {
    batch++
    const from = String((await all.runtime.progress.read(key))?.position ?? 0n)
    const { batch: run, result } = all.begin(
      owned.map((one) => ({ ...one, from, batch })),
      { attempt: 2 },
    )
    const over = result.catch(() => {})
    await pass(ms)
    run.end()
    await until(over)
  }
  const letters = async () =>
    (await all.runtime.letters.list(name, { limit: 100 })).map(({ offset, class: kind }) => [Number(offset), kind])
  return { ...all, done, work, letters }
}

describe('a plain handler that names what has failed', () => {
  it('does not lose a message of a key that is set aside, though the handler did not name it', async () => {
    const bad = new Map<number, unknown>([[0, new Error('bad 0')]])
    const { log, runtime, done, work } = await ground(bad, 1, (offset) => ['a', 'b', 'a'][Number(offset)]!)
    log.append(0, 1)
    await work()
    // Key `a` is set aside. In the next chunk 1 fails, and 2, which is of key `a`, is not given to the handler.
    Object.assign(runtime.settings.failures, { attempts: 5 })
    bad.clear()
    bad.set(1, new Error('bad 1'))
    log.append(0, 2)
    await work()
    bad.clear()
    await runtime.letters.request(name, { what: 'redrive', by: 'ann', reason: '' })
    await work(10_000)
    expect(done).toEqual([0, 1, 2])
  })

  it('gets a message that it was done with no second time, when an earlier one of its key was set aside', async () => {
    const bad = new Map<number, unknown>([[0, new Error('bad 0')]])
    const { log, runtime, done, work, letters } = await ground(bad, 1, () => 'a')
    log.append(0, 3)
    await work()
    expect(await letters()).toEqual([[0, 'poison']])
    bad.clear()
    await runtime.letters.request(name, { what: 'redrive', by: 'ann', reason: '' })
    await work()
    expect(done).toEqual([1, 2, 0])
  })

  it('has later messages of the key that it names set aside behind the first, and nothing fails for that', async () => {
    const bad = new Map<number, unknown>([
      [0, new Error('bad 0')],
      [1, new Error('bad 1')],
    ])
    const { log, done, work, letters, runtime } = await ground(bad, 1, (offset) => ['a', 'a', 'b'][Number(offset)]!)
    const failed = vi.spyOn(runtime.story, 'failed')
    log.append(0, 3)
    await work()
    expect([done, await letters()]).toEqual([
      [2],
      [
        [0, 'poison'],
        [1, 'behind'],
      ],
    ])
    expect(failed).not.toHaveBeenCalled()
  })

  it.each([
    ['what it needs is away', new DownstreamUnavailable('payments')],
    ['of a deadlock', Object.assign(new Error('deadlock'), { code: '40P01', severity: 'ERROR' })],
  ])('gets the others not again where it failed because %s', async (_, error) => {
    const bad = new Map<number, unknown>([[1, error]])
    const { log, done, work } = await ground(bad, 1, () => null)
    log.append(0, 3)
    const working = work(10_000)
    await pass(3_000)
    bad.clear()
    await working
    await work()
    expect(done).toEqual([0, 2, 1])
  })
})

describe('a transactional handler that names what has failed', () => {
  it('has the tries of a message that is alone counted', async () => {
    const all = await batchGround({
      settings: { failures: failureSettings({ isolate: true, attempts: 2, afterLastTry: deadLetter }) },
    })
    let calls = 0
    Object.assign(all.runtime, {
      handler: {
        kind: 'transactional',
        handle: async (messages: readonly Message[], { tx }: { tx: { client: MemoryTransaction } }) => {
          if (++calls > 50) await new Promise(() => {})
          const failed = messages.filter(({ offset }) => offset === 2n)
          if (failed.length > 0) throw new PartialFailure(failed, new Error('no'))
          for (const { offset } of messages) tx.client.write(Number(offset))
        },
      },
    })
    const owned = await all.own({ 0: 4 })
    await expect(until(all.begin(owned).result)).rejects.toThrow('Try 1 of 2')
    const { batch, result } = all.begin(owned, { attempt: 2 })
    await pass(1_000)
    batch.end()
    await until(result)
    expect(all.written).toEqual([0, 1, 3])
    expect(await all.runtime.letters.list(name, { limit: 9 })).toMatchObject([{ offset: 2n, tries: 2 }])
  })
})
