import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { AfterLastTry } from '../../../src/model/policy.js'
import type { OutputProgressLog } from '../../../src/ports/index.js'
import { batchGround, deadLetterPolicy, failureSettings, name } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const key = { ...name, partition: 0 }
const letters: AfterLastTry = deadLetterPolicy

/** Message 0 was set aside, all messages have its key, and the handler is mended by now. */
async function ground() {
  const done: number[] = []
  let broken = true
  const all = await batchGround({
    handle: (messages, context) => {
      if (broken) throw new Error('bad')
      done.push(...messages.map(({ offset }) => Number(offset)))
      if (all.runtime.settings.commit.after === 'manual') for (const message of messages) context.storeOffset(message)
    },
    settings: { failures: failureSettings({ isolate: true, attempts: 1, afterLastTry: letters }) },
  })
  all.log.keyOf = () => 'a'
  const owned = await all.own({ 0: 1 })
  let batch = 0
  const work = async (ms = 5_000) => {
    batch++
    const from = String((await all.runtime.progress.read(key))?.position ?? 0n)
    const { batch: run, result } = all.begin(owned.map((one) => ({ ...one, from, batch })))
    await pass(ms)
    run.end()
    await until(result)
  }
  await work()
  broken = false
  const redrive = () => all.runtime.letters.request(name, { what: 'redrive', by: 'ann', reason: '' })
  const waiting = async () =>
    (await all.runtime.letters.list(name, { limit: 9 })).map(({ offset, queue }) => [Number(offset), queue !== null])
  return { ...all, done, work, redrive, waiting }
}

describe('messages that are set aside when a config changes', () => {
  it('keep the order of their key under order: none, until their queue is empty', async () => {
    const { log, runtime, done, work, redrive, waiting } = await ground()
    Object.assign(runtime.settings.failures, { afterLastTry: { ...letters, order: 'none' } })
    log.append(0, 1)
    await work()
    expect(await waiting()).toEqual([
      [0, true],
      [1, true],
    ])
    await redrive()
    log.append(0, 1)
    await work()
    expect([done, await waiting()]).toEqual([[0, 1, 2], []])
  })

  it('hold nothing up where the handler alone says what is done, and nothing is lost', async () => {
    const { log, runtime, done, work, lines } = await ground()
    Object.assign(runtime.settings, { commit: { after: 'manual', intervalMs: 10 } })
    Object.assign(runtime.settings.failures, { afterLastTry: { policy: 'block' } })
    log.append(0, 2)
    await work()
    expect(done).toEqual([1, 2])
    expect(
      lines.filter(({ level, message }) => level === 'warn' && message.includes('an earlier config')),
    ).toHaveLength(1)
  })

  it('hold nothing up where progress is part of a Kafka transaction, and are not handled again and again', async () => {
    const { log, runtime, done, work, redrive, waiting } = await ground()
    const { progress } = runtime
    const transact: OutputProgressLog['transact'] = async (partition, token, from, to, run) => {
      await run({ send: async () => {} })
      await progress.advance(partition, token, from, typeof to === 'function' ? to() : to)
    }
    const transactions = new Proxy(progress, {
      get: (_, name) => {
        const own = name === 'transact' ? transact : Reflect.get(progress, name)
        return typeof own === 'function' ? own.bind(progress) : own
      },
    })
    Object.assign(runtime, { output: { transactions, client: {}, maxBufferedBytes: 1_000 }, progress: transactions })
    Object.assign(runtime.settings.failures, { afterLastTry: { policy: 'block' } })
    log.append(0, 2)
    await redrive()
    await work()
    await work()
    expect([done, await waiting()]).toEqual([[1, 2], [[0, true]]])
  })
})
