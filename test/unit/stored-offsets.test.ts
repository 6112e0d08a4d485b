import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { StoredOffsets } from '../../activities/committing/stored-offsets.js'
import type { Chunk, CommitOutcome, Message } from '../../src/ports/index.js'
import { rawOf } from '../support/raw-of.js'
import { silentLog } from '../support/silent-log.js'

const key = { group: 'g', stream: 's', partition: 0 }
const message = (offset: bigint, partition = 0) => ({ stream: 's', partition, offset }) as Message
/** Messages [from, to), behind which the log goes on at `next`. */
const chunk = (from: bigint, to: bigint, next = to): Chunk => ({
  from,
  next,
  messages: Array.from({ length: Number(to - from) }, (_, n) => message(from + BigInt(n))),
  bytes: 0,
  head: next,
  raw: rawOf,
  release: () => {},
})

describe('stored offsets', () => {
  let log: string[]
  let outcome: CommitOutcome
  let stored: StoredOffsets
  /** The epoch that the owner of the progress has. */
  let claimed: number

  beforeEach(() => {
    vi.useFakeTimers()
    log = []
    claimed = 3
    outcome = { outcome: 'committed' }
    const runtime = {
      settings: { commit: { after: 'manual', intervalMs: 5_000 } },
      progress: {
        read: async () => ({ position: 0n, token: { epoch: claimed, batch: 1, attempt: 1 }, replay: 0 }),
        advance: async (_: unknown, token: { batch: number }, from: bigint, to: bigint) =>
          void log.push(`progress ${from}-${to} of batch ${token.batch}`),
      },
      store: {
        commit: async (_: unknown, { position }: { position: bigint }) => {
          log.push(`commit ${position}`)
          return outcome
        },
      },
      log: silentLog(),
      story: { committed: () => {} },
    } as unknown as ConstructorParameters<typeof StoredOffsets>[0]
    stored = new StoredOffsets(runtime, owner(1), 10n)
  })
  afterEach(() => {
    vi.useRealTimers()
  })
  const owner = (batch: number) => ({ key, token: { epoch: 3, batch, attempt: 1 }, replay: 0 })

  it('never commits what is not stored, also at the end', async () => {
    stored.hand(chunk(10n, 20n))
    expect(await stored.flush()).toBe(10n)
    expect(await stored.flush()).toBe(10n)
    // What an earlier owner may have left to do, and no more.
    expect(log).toEqual(['commit 10'])
  })

  it('commits what is stored after the interval, once', async () => {
    stored.hand(chunk(10n, 20n))
    stored.store(message(12n))
    stored.store(message(11n))
    await vi.advanceTimersByTimeAsync(4_999)
    expect(log).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(log).toEqual(['progress 10-13 of batch 1', 'commit 13'])
    await vi.advanceTimersByTimeAsync(20_000)
    expect(log).toHaveLength(2)
  })

  it('commits at once when asked, and makes progress durable first', async () => {
    stored.hand(chunk(10n, 20n))
    stored.store(message(15n))
    expect(await stored.flush()).toBe(16n)
    expect(log).toEqual(['progress 10-16 of batch 1', 'commit 16'])
  })

  it('walks over the gap behind the last message, and over chunks without messages, when all before is stored', async () => {
    stored.hand(chunk(10n, 12n, 50n))
    stored.store(message(11n))
    expect(await stored.flush()).toBe(50n)
    stored.hand(chunk(50n, 50n, 60n))
    expect(await stored.flush()).toBe(60n)
    stored.hand(chunk(60n, 62n))
    stored.hand(chunk(62n, 62n, 70n))
    expect(await stored.flush()).toBe(60n)
  })

  it('refuses messages of other partitions and those not handed out', () => {
    stored.hand(chunk(10n, 20n))
    expect(() => stored.store(message(20n))).toThrow('not handed out yet')
    expect(() => stored.store(message(12n, 1))).toThrow('s[1] offset 12')
  })

  it('a message stored during a later batch counts with the token of that batch', async () => {
    stored.hand(chunk(10n, 20n))
    expect(stored.followedBy(0, 20n, 10n)).toBe(true)
    stored.handOver(owner(2))
    stored.store(message(19n))
    await stored.flush()
    expect(log).toEqual(['progress 10-20 of batch 2', 'commit 20'])
  })

  it('is not followed by a batch that begins elsewhere, in another replay, or after another worker', () => {
    stored.hand(chunk(10n, 20n))
    expect(stored.followedBy(0, 10n, 10n)).toBe(false)
    expect(stored.followedBy(1, 20n, 10n)).toBe(false)
    expect(stored.followedBy(0, 20n, 15n)).toBe(false)
  })

  describe('in a transaction', () => {
    it('moves progress with it, to what the handler stored', async () => {
      stored.hand(chunk(10n, 20n))
      await stored.transact(async (from, to) => {
        stored.store(message(14n))
        log.push(`transaction ${from}-${to()}`)
      })
      expect(await stored.flush()).toBe(15n)
      expect(log).toEqual(['transaction 10-15', 'commit 15'])
    })

    it('forgets what was stored when it fails', async () => {
      stored.hand(chunk(10n, 20n))
      const failing = stored.transact(async () => {
        stored.store(message(14n))
        throw new Error('rolled back')
      })
      await expect(failing).rejects.toThrow('rolled back')
      expect(await stored.flush()).toBe(10n)
    })

    it('a commit asked for in the middle of it comes right after it', async () => {
      stored.hand(chunk(10n, 20n))
      await stored.transact(async (from, to) => {
        stored.store(message(19n))
        await stored.flush()
        log.push(`transaction ${from}-${to()}`)
      })
      expect(log).toEqual(['transaction 10-20', 'commit 20'])
    })
  })

  it('says that the position was put elsewhere, or who has the partition', async () => {
    stored.hand(chunk(10n, 20n))
    stored.store(message(19n))
    outcome = { outcome: 'stale', epoch: 4, position: 3n, replay: 1 }
    await expect(stored.flush()).rejects.toThrow('s[0] of group g was reset: the store has epoch 4 at position 3')
    outcome = { outcome: 'stale', epoch: 4, position: 30n, replay: 0 }
    await expect(stored.flush()).rejects.toThrow('was opened by nobody')
    claimed = 4
    await expect(stored.flush()).rejects.toMatchObject({ code: 'FENCED' })
  })
})
