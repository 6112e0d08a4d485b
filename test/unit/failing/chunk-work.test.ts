import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Slots } from '../../../activities/batch/slots.js'
import { TidemarkError } from '../../../src/model/errors.js'
import { DownstreamUnavailable, PartialFailure, Poison } from '../../../src/model/handler-errors.js'
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

/** A handler that fails at the offsets that `bad` names, and a batch that Temporal tries again and again. */
async function ground(
  bad: (message: Message) => unknown,
  failures: Partial<FailureSettings>,
  { chunk = 100, keyOf }: { chunk?: number; keyOf?: (offset: bigint) => string | null } = {},
) {
  const done: number[] = []
  const all = await batchGround({
    handle: async (messages) => {
      for (const message of messages) {
        const error = bad(message)
        if (error !== undefined && error !== false) throw error === true ? new Error(`bad ${message.offset}`) : error
      }
      done.push(...messages.map(({ offset }) => Number(offset)))
    },
    settings: {
      chunk: { maxMessages: chunk, fetchBytes: 1_000, targetMs: null },
      failures: failureSettings({ isolate: true, ...failures }),
    },
  })
  if (keyOf) all.log.keyOf = keyOf
  const { progress, letters, troubles } = all.runtime
  return {
    ...all,
    done,
    position: async () => Number((await progress.read(key))?.position),
    trouble: () => troubles.read(key),
    letters: async () =>
      (await letters.list({ ...name }, { limit: 100 })).map(({ offset, class: kind, tries }) => [
        Number(offset),
        kind,
        tries,
      ]),
    all: letters,
  }
}

const only =
  (...offsets: number[]) =>
  ({ offset }: Message) =>
    offsets.includes(Number(offset))

describe('a message that its handler fails at', () => {
  it('is found, and what stands before it is done once', async () => {
    const { begin, own, done, position, trouble } = await ground(only(37), {})
    const { result } = begin(await own({ 0: 100 }))
    await expect(until(result)).rejects.toThrow('offset 37: bad 37. Try 1')
    expect(done).toEqual([...Array(37).keys()])
    expect(await position()).toBe(37)
    expect(await trouble()).toMatchObject({ failing: { position: '37', tries: 1, crashes: 0, code: 'Error' } })
  })

  it('is not looked for where halving would run effects again', async () => {
    const { begin, own, done, calls } = await ground(only(37), { isolate: false })
    const { result } = begin(await own({ 0: 100 }))
    await expect(until(result)).rejects.toThrow('offsets 0 to 99: bad 37')
    expect([done, calls.length]).toEqual([[], 1])
  })

  it('counts its tries from batch to batch, and stops its partition after the last one', async () => {
    const { begin, own, trouble } = await ground(only(2), { attempts: 3 })
    const owned = await own({ 0: 5 })
    for (const tries of [1, 2]) {
      const again = owned.map((one) => ({ ...one, batch: tries }))
      await expect(until(begin(again, { attempt: 2 }).result)).rejects.toThrow(`Try ${tries} of 3`)
    }
    const last = begin(
      owned.map((one) => ({ ...one, batch: 3 })),
      { attempt: 2 },
    )
    const { 0: outcome } = byPartition(await until(last.result))
    expect(outcome).toMatchObject({ end: 'blocked', to: '2', reason: expect.stringContaining('Try 3 of 3') })
    expect(await trouble()).toMatchObject({ failing: { tries: 3 } })
  })

  it('stands in the heartbeat with its tries, until it is done', async () => {
    let broken = true
    const { begin, own } = await ground((message) => broken && message.offset === 2n, {})
    const owned = await own({ 0: 5 })
    const first = begin(owned)
    await expect(until(first.result)).rejects.toThrow('bad 2')
    const failing = { 0: { offset: '2', tries: 1, at: expect.stringMatching(/^\d{4}-.*Z$/) } }
    expect(first.batch.progress.failing).toEqual(failing)
    const again = owned.map((one) => ({ ...one, batch: 2 }))
    const second = begin(again, { attempt: 2 })
    await expect(until(second.result)).rejects.toThrow('bad 2')
    expect(second.batch.progress.failing).toMatchObject({ 0: { tries: 2 } })
    broken = false
    const { batch, result } = begin(
      owned.map((one) => ({ ...one, batch: 3 })),
      { attempt: 2 },
    )
    await pass(1_000)
    expect(batch.progress).toMatchObject({ positions: { 0: '5' } })
    expect(batch.progress.failing).toBeUndefined()
    batch.end()
    await until(result)
  })

  it('waits for its next try in Temporal, where people see it', async () => {
    const { begin, own, calls } = await ground(only(0), {})
    const owned = await own({ 0: 1 })
    await expect(until(begin(owned).result)).rejects.toThrow('bad 0')
    const apart = begin(
      owned.map((one) => ({ ...one, batch: 2 })),
      { apart: 'failed' },
    )
    await expect(until(apart.result)).rejects.toThrow('bad 0')
    expect(calls).toHaveLength(1)
    await expect(
      until(
        begin(
          owned.map((one) => ({ ...one, batch: 2 })),
          { apart: 'failed', attempt: 2 },
        ).result,
      ),
    ).rejects.toThrow('Try 2')
    expect(calls).toHaveLength(2)
  })

  it('is forgotten once it is handled', async () => {
    let failing = true
    const { begin, own, done, trouble } = await ground(({ offset }) => failing && offset === 1n, {})
    const owned = await own({ 0: 3 })
    await expect(until(begin(owned).result)).rejects.toThrow()
    failing = false
    const { batch, result } = begin(owned.map((one) => ({ ...one, batch: 2 })))
    await pass(1_000)
    batch.end()
    await until(result)
    expect(done).toEqual([0, 1, 2])
    expect(await trouble()).toBeNull()
  })
})

describe('after the last try', () => {
  it('a message is set aside, and what comes behind it goes on', async () => {
    const { begin, own, done, letters, position, lines } = await ground(only(3), {
      attempts: 1,
      afterLastTry: deadLetter,
    })
    const { batch, result } = begin(await own({ 0: 8 }))
    await pass(1_000)
    batch.end()
    await until(result)
    expect(done).toEqual([0, 1, 2, 4, 5, 6, 7])
    expect(await letters()).toEqual([[3, 'poison', 1]])
    expect(await position()).toBe(8)
    expect(lines.some(({ message }) => message.startsWith('set aside: orders[0] offset 3 after 1 try'))).toBe(true)
  })

  it('later messages of its key are set aside behind it without a try, and others flow', async () => {
    const { begin, own, log, done, letters, all, heard } = await ground(
      only(1),
      { attempts: 1, afterLastTry: deadLetter },
      { keyOf: (offset) => `k${offset % 3n}` },
    )
    const { batch, result } = begin(await own({ 0: 6 }))
    await pass(1_000)
    log.append(0, 3)
    await pass(1_000)
    batch.end()
    await until(result)
    expect(done).toEqual([0, 2, 3, 5, 6, 8])
    expect(await letters()).toEqual([
      [1, 'poison', 1],
      [4, 'behind', 0],
      [7, 'behind', 0],
    ])
    expect((await all.parked(key)).queues).toHaveLength(1)
    // Messages that were set aside do not count as handled.
    expect(heard.messages).toBe(6)
  })

  it('another owner knows which keys are set aside', async () => {
    const { begin, own, log, done, letters } = await ground(
      only(1),
      { attempts: 1, afterLastTry: deadLetter },
      { keyOf: (offset) => `k${offset % 2n}` },
    )
    const owned = await own({ 0: 2 })
    const first = begin(owned)
    await pass(1_000)
    first.batch.end()
    await until(first.result)
    log.append(0, 2)
    const second = begin(owned.map((one) => ({ ...one, batch: 2, from: '2' })))
    await pass(1_000)
    second.batch.end()
    await until(second.result)
    expect(done).toEqual([0, 2])
    expect(await letters()).toEqual([
      [1, 'poison', 1],
      [3, 'behind', 0],
    ])
  })

  it('Poison does not wait for its tries', async () => {
    const { begin, own, done, letters } = await ground(({ offset }) => offset === 2n && new Poison('no such product'), {
      attempts: 10,
      afterLastTry: deadLetter,
    })
    const { batch, result } = begin(await own({ 0: 4 }))
    await pass(1_000)
    batch.end()
    await until(result)
    expect(done).toEqual([0, 1, 3])
    expect(await letters()).toEqual([[2, 'poison', 1]])
  })

  it('a message is skipped, and that is recorded', async () => {
    const { begin, own, done, all } = await ground(only(0), { attempts: 1, afterLastTry: { policy: 'skip' } })
    const { batch, result } = begin(await own({ 0: 2 }))
    await pass(1_000)
    batch.end()
    await until(result)
    expect(done).toEqual([1])
    const skipped = await all.list({ ...name, states: ['skipped'] }, { limit: 10 })
    expect(skipped.map(({ offset }) => offset)).toEqual([0n])
  })

  it('its partition is paused, which only a person ends', async () => {
    const { begin, own, runtime } = await ground(only(1), { attempts: 1, afterLastTry: { policy: 'pause' } })
    await runtime.records.ensure(name, { slices: 1, partitions: [0] })
    const { result } = begin(await own({ 0: 2 }))
    expect(byPartition(await until(result))[0]).toMatchObject({ end: 'reopen', to: '1' })
    const record = await runtime.records.read(name)
    expect(record?.paused.partitions.get(0)).toMatchObject({ by: 'tidemark', why: expect.stringContaining('bad 1') })
  })

  it('five in a row are taken for an outage', async () => {
    const { begin, own, done, letters, trouble } = await ground(({ offset }) => offset >= 1n, {
      attempts: 1,
      afterLastTry: deadLetter,
    })
    const { result } = begin(await own({ 0: 20 }))
    const { 0: outcome } = byPartition(await until(result))
    expect(outcome).toMatchObject({ end: 'blocked', to: '5', reason: expect.stringContaining('looks like an outage') })
    expect([done, (await letters()).length]).toEqual([[0], 4])
    expect(await trouble()).toMatchObject({ inARow: 5, stoppedAt: '5' })
  })

  it('five with others between them are not', async () => {
    const { begin, own, letters } = await ground(({ offset }) => offset % 2n === 0n, {
      attempts: 1,
      afterLastTry: deadLetter,
    })
    const { batch, result } = begin(await own({ 0: 20 }))
    await pass(1_000)
    batch.end()
    await until(result)
    expect(await letters()).toHaveLength(10)
  })

  it('a partition that is full pauses, and drops nothing', async () => {
    const { begin, own, runtime, letters, position } = await ground(({ offset }) => offset % 2n === 0n, {
      attempts: 1,
      afterLastTry: { ...deadLetter, limits: { keys: 100, messages: 3, ageMs: null } },
    })
    await runtime.records.ensure(name, { slices: 1, partitions: [0] })
    const { result } = begin(await own({ 0: 20 }))
    expect(byPartition(await until(result))[0]).toMatchObject({ end: 'reopen', to: '6' })
    expect(await letters()).toHaveLength(3)
    expect(await position()).toBe(6)
    const record = await runtime.records.read(name)
    expect(record?.paused.partitions.get(0)?.why).toMatch('4 messages are set aside, and the limit is 3')
  })

  it('a message that can not be decoded goes the same way, with its bytes', async () => {
    const { begin, own, log, done, letters, all } = await ground(() => false, { afterLastTry: deadLetter })
    log.rawPoison = true
    log.poison(
      0,
      2n,
      new TidemarkError('UNDECODABLE', 'orders[0] offset 2 is no JSON', { place: { ...key, offset: '2' } }),
    )
    const { batch, result } = begin(await own({ 0: 5 }))
    await pass(1_000)
    batch.end()
    await until(result)
    expect(done).toEqual([0, 1, 3, 4])
    expect(await letters()).toEqual([[2, 'undecodable', 1]])
    const [letter] = await all.list(name, { limit: 1 })
    expect(String((await all.read(letter!.id))?.message?.value)).toBe('?')
  })

  it('behind such a message, no witness of an earlier one is written when a letter comes back', async () => {
    const { begin, own, log, runtime, done } = await ground(
      ({ offset }) => offset === 0n && performance.now() < mended && new Error('bad 0'),
      { attempts: 1, afterLastTry: { ...deadLetter, delaysMs: [5_000] } as AfterLastTry },
    )
    const mended = performance.now() + 2_000
    log.hasWitness = true
    log.rawPoison = true
    const error = new TidemarkError('UNDECODABLE', 'orders[0] offset 2 is no JSON', { place: { ...key, offset: '2' } })
    log.poison(0, 2n, error)
    const { batch, result } = begin(await own({ 0: 3 }))
    await pass(1_000)
    const progress = () => runtime.progress.read(key)
    expect(await progress()).toMatchObject({ position: 3n, witness: null })
    // The redrive writes progress where it is, and the witness with it.
    await pass(6_000)
    expect(done).toEqual([1, 0])
    expect(await progress()).toMatchObject({ position: 3n, witness: null })
    batch.end()
    await until(result)
  })

  it('nobody can tell which message of a plain chunk it is, and the partition says so', async () => {
    const { begin, own } = await ground(only(3), { attempts: 1, isolate: false, afterLastTry: deadLetter })
    const { 0: outcome } = byPartition(await until(begin(await own({ 0: 8 })).result))
    expect(outcome).toMatchObject({ end: 'blocked', to: '0', reason: expect.stringContaining('PartialFailure') })
  })
})

describe('messages that an earlier config has set aside', () => {
  async function withLetters() {
    const all = await ground(
      only(1),
      { attempts: 1, afterLastTry: deadLetter },
      { keyOf: (offset) => `k${offset % 2n}` },
    )
    const owned = await all.own({ 0: 2 })
    const first = all.begin(owned)
    await pass(1_000)
    first.batch.end()
    await until(first.result)
    all.log.append(0, 2)
    const again = () => all.begin(owned.map((one) => ({ ...one, batch: 2, from: '2' })))
    return { ...all, again }
  }

  it('still keep their key in order, whatever the options say now', async () => {
    const { runtime, again, done, all } = await withLetters()
    Object.assign(runtime.settings, {
      failures: failureSettings({
        isolate: true,
        attempts: 1,
        afterLastTry: { ...deadLetter, order: 'none' } as AfterLastTry,
      }),
    })
    const { batch, result } = again()
    await pass(1_000)
    batch.end()
    await until(result)
    expect(done).toEqual([0, 2])
    const queues = (await all.list(name, { limit: 9 })).map(({ queue }) => queue)
    expect(queues).toEqual([queues[0], queues[0]])
  })
})

describe('a handler that names what has failed', () => {
  it('gets the others not again, and each failed one has its tries', async () => {
    const calls: number[][] = []
    const all = await batchGround({
      handle: (messages) => {
        calls.push(messages.map(({ offset }) => Number(offset)))
        const failed = messages.filter(({ offset }) => offset === 2n || offset === 4n)
        if (failed.length > 0) throw new PartialFailure(failed, new Error('no'))
      },
      settings: { failures: failureSettings({ attempts: 2, afterLastTry: deadLetter }) },
    })
    const owned = await all.own({ 0: 6 })
    await expect(until(all.begin(owned).result)).rejects.toThrow('Try 1 of 2')
    const { batch, result } = all.begin(
      owned.map((one) => ({ ...one, batch: 2 })),
      { attempt: 2 },
    )
    await pass(1_000)
    // The second one has a try left.
    await expect(until(result)).rejects.toThrow('Try 1 of 2')
    batch.end()
    const last = all.begin(
      owned.map((one) => ({ ...one, batch: 3 })),
      { attempt: 3 },
    )
    await pass(1_000)
    last.batch.end()
    await until(last.result)
    expect(calls).toEqual([[0, 1, 2, 3, 4, 5], [2], [4], [4]])
    const letters = await all.runtime.letters.list(name, { limit: 9 })
    expect(letters.map(({ offset, tries }) => [Number(offset), tries])).toEqual([
      [2, 2],
      [4, 2],
    ])
    expect((await all.runtime.progress.read(key))?.position).toBe(6n)
  })
})

describe('what the handler needs', () => {
  it('is waited for without using up a try, and the partition goes on by itself', async () => {
    let away = true
    const { begin, own, done, letters, trouble } = await ground(
      ({ offset }) => away && offset === 3n && new DownstreamUnavailable('payments'),
      { attempts: 1, afterLastTry: deadLetter },
    )
    const { batch, result } = begin(await own({ 0: 6, 1: 2 }))
    await pass(20_000)
    expect(batch.progress.waiting).toMatchObject({ 0: { for: 'payments' } })
    expect([await trouble(), await letters()]).toEqual([null, []])
    away = false
    await pass(7_000)
    expect(done).toContain(5)
    expect(batch.progress.waiting).toBeUndefined()
    batch.end()
    await until(result)
  })

  it('is no reason for a batch to let its neighbours wait, and a partition that waits lets go at once', async () => {
    const { begin, own, log, handled } = await ground(
      ({ partition }) => partition === 0 && new DownstreamUnavailable('payments'),
      {},
    )
    const { batch, result } = begin(await own({ 0: 6, 1: 2 }))
    await pass(10_000)
    log.append(1, 1)
    await pass(10)
    expect(handled(1).flat()).toEqual([0, 1, 2])
    batch.end()
    const { 0: outcome } = byPartition(await until(result))
    expect(outcome).toMatchObject({ end: 'released', to: '0' })
  })
})

describe('a message that its worker is lost at', () => {
  /** Workers one after the other, until one lives. A worker that is lost never answers. Returns what was handled. */
  async function workers(
    all: Awaited<ReturnType<typeof ground>>,
    messages: number,
    isLostAt: (message: Message) => boolean,
  ) {
    const { runtime, begin, own, reach } = all
    let die = () => {}
    const handled: number[] = []
    Object.assign(runtime.handler, {
      handle: async (messages: readonly Message[]) => {
        if (messages.some(isLostAt)) {
          die()
          await new Promise(() => {})
        }
        handled.push(...messages.map(({ offset }) => Number(offset)))
      },
    })
    const owned = await own({ 0: messages })
    for (let attempt = 1; attempt <= 20; attempt++) {
      // Another process.
      Object.assign(runtime, { quarantine: new Slots(1), slots: new Slots(100) })
      const { result, batch } = begin(owned, { attempt })
      const died = new Promise<'died'>((resolve) => {
        die = () => resolve('died')
      })
      const idle = pass(5_000).then(() => 'idle' as const)
      const how = await Promise.race([
        result.then(
          () => 'ended' as const,
          () => 'failed' as const,
        ),
        died,
        idle,
      ])
      reach.lost = how === 'died'
      if (how === 'idle') {
        batch.end()
        await until(result)
        break
      }
      await idle
    }
    return handled
  }

  it('is narrowed down, set aside after some losses, and no healthy one with it', async () => {
    const killing = 57
    let lost = 0
    const all = await ground(() => false, { attempts: 5, crashes: 3, afterLastTry: deadLetter })
    const handled = await workers(all, 100, ({ offset }) => {
      const isKilling = Number(offset) === killing
      if (isKilling) lost++
      return isKilling
    })
    expect(await all.letters()).toEqual([[killing, 'crash', 3]])
    expect(await all.all.list({ ...name }, { limit: 1 })).toMatchObject([{ code: 'WORKER_LOST' }])
    expect([...new Set(handled)]).toHaveLength(99)
    expect(lost).toBeLessThanOrEqual(6)
  })

  it('has all of its tries left: another message may have been the cause', async () => {
    const all = await ground(() => false, { attempts: 1, crashes: 3, afterLastTry: deadLetter })
    let lost = 0
    const handled = await workers(all, 1, () => ++lost <= 3)
    expect([handled, await all.letters()]).toEqual([[0], []])
  })
})
