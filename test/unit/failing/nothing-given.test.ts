import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nameOf } from '../../../activities/failing/worked.js'
import { DownstreamUnavailable } from '../../../src/model/handler-errors.js'
import type { AfterLastTry, FailureSettings } from '../../../src/model/policy.js'
import type { Message } from '../../../src/ports/index.js'
import { batchGround, byPartition, deadLetterPolicy, failureSettings, name } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const key = { ...name, partition: 0 }
const deadLetter: AfterLastTry = deadLetterPolicy

/** A handler that throws what `bad` has for a message. */
async function ground(bad: (message: Message) => unknown, failures: Partial<FailureSettings>, chunk = 1) {
  const done: string[] = []
  const all = await batchGround({
    handle: (messages) => {
      for (const message of messages) {
        const error = bad(message)
        if (error) throw error
      }
      done.push(...messages.map(({ partition, offset }) => `${partition}/${offset}`))
    },
    settings: {
      chunk: { maxMessages: chunk, fetchBytes: 1_000, targetMs: null },
      failures: failureSettings({ isolate: true, attempts: 1, afterLastTry: deadLetter, ...failures }),
    },
  })
  return { ...all, done }
}

describe('messages that only go behind others of their key', () => {
  it('do not say that an outage is over', async () => {
    // Keys a, b, c, d, e, each followed by another message of key a.
    const { log, own, begin, runtime } = await ground(() => new Error('everything fails'), {})
    log.keyOf = (offset) => (offset % 2n === 1n ? 'a' : 'abcdef'[Number(offset) / 2]!)
    const { 0: outcome } = byPartition(await until(begin(await own({ 0: 12 })).result))
    expect(outcome).toMatchObject({ end: 'blocked', to: '8', reason: expect.stringContaining('looks like an outage') })
    expect(await runtime.troubles.read(key)).toMatchObject({ inARow: 5 })
  })

  it('do not say that what the handler needs is there again', async () => {
    const { log, own, begin, lines, runtime, done } = await ground(
      ({ offset }) => offset === 0n && new Error('bad'),
      {},
    )
    log.keyOf = () => 'a'
    const { batch, result } = begin(await own({ 0: 1 }))
    await pass(1_000)
    for (const partition of [0, 1]) runtime.circuits.failed(nameOf({ ...name, partition }), 'payments')
    log.append(0, 1)
    await pass(10_000)
    expect(lines.filter(({ message }) => message.startsWith('available again'))).toEqual([])
    expect(done).toEqual([])
    batch.end()
    await until(result)
  })
})

describe('a partition that waits for what its handler needs', () => {
  it('waits no longer once it has nothing that needs it, and its batch comes to rest', async () => {
    const { log, own, begin, runtime } = await ground(() => new DownstreamUnavailable('payments'), {})
    log.keyOf = () => 'a'
    const owned = await own({ 0: 1 })
    const first = begin(owned)
    await pass(1_000)
    expect(first.batch.progress.waiting).toMatchObject({ 0: { for: 'payments' } })
    first.batch.end()
    await until(first.result)
    // Another worker has handled the message meanwhile.
    await runtime.progress.claim(key, { epoch: 1, batch: 2, attempt: 1, owner: 'b' }, { from: 0n, replay: 0 })
    await runtime.progress.advance(key, { epoch: 1, batch: 2, attempt: 1, owner: 'b' }, 0n, 1n)
    const second = begin(owned.map((one) => ({ ...one, from: '1', batch: 3 })))
    await pass(10_000)
    expect(second.batch.progress.waiting).toBeUndefined()
    expect(byPartition(await until(second.result))[0]).toMatchObject({ end: 'rest' })
  })

  it('waits no longer once a person has taken back the redrive that needed it', async () => {
    let error: unknown = new Error('bad')
    const { log, own, begin, runtime, lines } = await ground(() => error, {})
    log.keyOf = () => 'a'
    const { batch, result } = begin(await own({ 0: 1 }))
    await pass(1_000)
    batch.end()
    await until(result)
    error = new DownstreamUnavailable('payments')
    await runtime.letters.request(name, { what: 'redrive', by: 'ann', reason: '' })
    const second = begin([{ partition: 0, from: '1', epoch: 1, batch: 2, replay: 0, identity: null }])
    await pass(2_000)
    expect(second.batch.progress.waiting).toMatchObject({ 0: { for: 'payments' } })
    await runtime.letters.request(name, { what: 'cancel', by: 'ann', reason: '' })
    await pass(30_000)
    expect(second.batch.progress.waiting).toBeUndefined()
    expect(byPartition(await until(second.result))[0]).toMatchObject({ end: 'rest' })
    expect(lines.filter(({ message }) => message.startsWith('available again'))).toEqual([])
  })

  it('waits in one batch, however long that takes, and what its neighbours do is committed', async () => {
    let away = true
    const { own, begin, log, done, stored } = await ground(
      ({ partition }) => away && partition === 0 && new DownstreamUnavailable('payments'),
      {},
    )
    const owned = await own({ 0: 1 })
    const { batch, result } = begin(owned)
    await pass(3_600_000)
    expect(batch.progress.waiting).toMatchObject({ 0: { for: 'payments' } })
    away = false
    await pass(10_000)
    expect(done).toEqual(['0/0'])
    log.append(0, 1)
    await pass(100)
    expect(byPartition(await until(result))[0]).toMatchObject({ end: 'more', to: '2' })
    expect(await stored(0)).toBeDefined()
  })

  it('is forgotten by its worker when it is let go of', async () => {
    const { own, begin, runtime, lines } = await ground(() => new DownstreamUnavailable('payments'), {})
    const { batch, result } = begin(await own({ 0: 1 }))
    await pass(1_000)
    batch.end()
    await until(result)
    expect(lines.at(-1)?.message).toBe('no partition of this worker waits any more for: payments')
    expect(runtime.circuits.waitingOf(nameOf(key))).toBeNull()
  })
})
