import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Interrupt } from '../../../activities/batch/interrupt.js'
import { Readers } from '../../../activities/batch/readers.js'
import { batchGround, name } from '../../support/batch-ground.js'

const key = { ...name, partition: 0 }
const limits = { maxMessages: 10, waitMs: 1_000 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

async function ground(head = 0) {
  const { log, runtime, draining } = await batchGround()
  if (head > 0) log.append(0, head)
  return { log, readers: new Readers(runtime), interrupt: new Interrupt(), draining }
}

const place = (from: bigint, replay = 0, identity: string | null = null) => ({ from, replay, identity })

describe('a lease', () => {
  it('returns after an interrupt what was asked for before', async () => {
    const { readers, log, interrupt } = await ground()
    const lease = readers.take(key, place(0n))
    const first = lease.next(limits, interrupt)
    interrupt.fire()
    expect(await first).toBeNull()
    log.append(0, 3)
    expect(await lease.next(limits, interrupt)).toMatchObject({ from: 0n, next: 3n })
  })

  it('returns a chunk that was put back, and then the one behind it', async () => {
    const { readers, interrupt } = await ground(15)
    const lease = readers.take(key, place(0n))
    const chunk = await lease.next(limits, interrupt)
    lease.putBack(chunk!)
    expect(await lease.next(limits, interrupt)).toBe(chunk)
    expect(await lease.next(limits, interrupt)).toMatchObject({ from: 10n, next: 15n })
  })

  it('asks again after a failure', async () => {
    const { readers, log, interrupt } = await ground(2)
    log.fails(0, 0n, new Error('broken'))
    const lease = readers.take(key, place(0n))
    await expect(lease.next(limits, interrupt)).rejects.toThrow('broken')
    log.fails(0, 9n, new Error('elsewhere'))
    expect(await lease.next(limits, interrupt)).toMatchObject({ next: 2n })
  })

  it('releases a chunk that nobody takes any more, and ends its reader', async () => {
    const { readers, log, interrupt } = await ground(2)
    const lease = readers.take(key, place(0n))
    lease.putBack((await lease.next(limits, interrupt))!)
    expect([log.open, log.lent]).toEqual([1, 1])
    await lease.close()
    expect([log.open, log.lent]).toEqual([0, 0])
  })

  it('releases a chunk that comes while it is closed', async () => {
    const { readers, log, interrupt } = await ground()
    const lease = readers.take(key, place(0n))
    const asked = lease.next(limits, interrupt)
    interrupt.fire()
    await asked
    log.append(0)
    await lease.close()
    await vi.advanceTimersByTimeAsync(0)
    expect(log.lent).toBe(0)
  })
})

describe('a lease whose values are late', () => {
  /** A chunk of two messages, whose values are decoded when the test says so. */
  async function late() {
    const all = await ground(2)
    const decoding = { ends: (_: 'well' | Error) => {}, signal: new AbortController().signal }
    all.log.decodes(0, (chunk, signal) => {
      decoding.signal = signal
      return new Promise((resolve, reject) => {
        decoding.ends = (how) => {
          if (how === 'well') return resolve(chunk)
          chunk.release()
          reject(how)
        }
        signal.addEventListener('abort', () => {
          chunk.release()
          resolve(null)
        })
      })
    })
    return { ...all, decoding, lease: all.readers.take(key, place(0n)) }
  }
  const turn = () => vi.advanceTimersByTimeAsync(0)

  it('gives the chunk once they are decoded, and says meanwhile that they are not', async () => {
    const { lease, decoding, interrupt } = await late()
    const asked = lease.next(limits, interrupt)
    await turn()
    expect(lease.isDecoding).toBe(true)
    decoding.ends('well')
    const chunk = await asked
    expect([chunk!.next, chunk!.settle, lease.isDecoding]).toEqual([2n, undefined, false])
  })

  it('goes on decoding after an interrupt', async () => {
    const { lease, decoding, interrupt } = await late()
    const asked = lease.next(limits, interrupt)
    await turn()
    interrupt.fire()
    expect(await asked).toBeNull()
    expect(lease.isDecoding).toBe(true)
    const again = lease.next(limits, interrupt)
    decoding.ends('well')
    expect(await again).toMatchObject({ from: 0n, next: 2n })
  })

  it('stops decoding when it is closed, and the chunk is released', async () => {
    const { lease, decoding, interrupt, log } = await late()
    const asked = lease.next(limits, interrupt)
    await turn()
    interrupt.fire()
    await asked
    await lease.close()
    expect([decoding.signal.aborted, log.open, log.lent]).toEqual([true, 0, 0])
  })

  it('says what they could not be decoded for, also to the call after an interrupt', async () => {
    const { lease, decoding, interrupt, log } = await late()
    const asked = lease.next(limits, interrupt)
    await turn()
    interrupt.fire()
    await asked
    decoding.ends(new Error('registry is away'))
    await turn()
    await expect(lease.next(limits, interrupt)).rejects.toThrow('registry is away')
    expect([lease.isDecoding, log.lent]).toEqual([false, 0])
  })
})

describe('a parked reader', () => {
  it('is taken by a batch that goes on where it stands', async () => {
    const { readers, log } = await ground()
    const lease = readers.take(key, place(7n, 0, 'a'))
    readers.park(key, place(7n, 0, 'a'), lease)
    expect(readers.take(key, place(7n, 0, 'a'))).toBe(lease)
    // It is not closed under the batch that has it.
    await vi.advanceTimersByTimeAsync(10_000)
    expect(log.open).toBe(1)
    expect(log.opened).toHaveLength(1)
  })

  it.each([
    ['position', [0, 8n, 'a']],
    ['replay', [1, 7n, 'a']],
    ['incarnation of the stream', [0, 7n, 'b']],
  ] as const)('is not taken for another %s', async (_, [replay, from, identity]) => {
    const { readers, log, interrupt } = await ground(20)
    const lease = readers.take(key, place(7n, 0, 'a'))
    await lease.next({ ...limits, maxMessages: 1 }, interrupt)
    readers.park(key, place(7n, 0, 'a'), lease)
    expect(readers.take(key, place(from, replay, identity))).not.toBe(lease)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(log.opened).toHaveLength(2)
    expect(log.open).toBe(1)
  })

  it('is closed where no batch comes for it within two seconds', async () => {
    const { readers, log } = await ground()
    readers.park(key, place(0n), readers.take(key, place(0n)))
    await vi.advanceTimersByTimeAsync(1_999)
    expect(log.open).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(log.open).toBe(0)
  })

  it('is closed when another one is parked in its place', async () => {
    const { readers, log } = await ground()
    const [old, next] = [readers.take(key, place(0n)), readers.take(key, place(0n))]
    readers.park(key, place(0n), old)
    readers.park(key, place(0n), next)
    await vi.advanceTimersByTimeAsync(0)
    expect(log.open).toBe(1)
    expect(readers.take(key, place(0n))).toBe(next)
  })

  it('is closed when the worker drains, and none is parked any more', async () => {
    const { readers, log, draining } = await ground()
    const late = readers.take(key, place(0n))
    readers.park({ ...key, partition: 1 }, place(0n), readers.take({ ...key, partition: 1 }, place(0n)))
    draining.abort()
    readers.park(key, place(0n), late)
    await vi.advanceTimersByTimeAsync(0)
    expect(log.open).toBe(0)
  })
})
