import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DatabaseClient } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'

/** What a kind of SQL database brings to be tested. */
export interface InboxHarness {
  connect(): Promise<DatabaseClient>
  /** How many keys there are. */
  rows(): Promise<number>
  close(): Promise<void>
}

/** The suite that makes an Inbox one: each key is let in once, unless a partition was put back to handle it again. */
export function inboxContract(kind: string, open: () => Promise<InboxHarness>): void {
  describe(`${kind} inbox`, () => {
    let harness: InboxHarness
    let database: DatabaseClient
    /** Where each partition is; a partition is one stream's and group's. */
    const owners = new Map<string, { epoch: number; position: bigint; replay: number }>()

    beforeEach(async () => {
      harness = await open()
      database = await harness.connect()
      owners.clear()
    })
    afterEach(async () => {
      await database.close()
      await harness.close()
    })

    interface Place {
      group?: string
      stream?: string
      partition?: number
    }
    const keyOf = ({ group = 'billing', stream = 'orders', partition = 0 }: Place) => ({ group, stream, partition })

    async function claim(place: Place, start = { from: 0n, replay: 0 }) {
      const key = keyOf(place)
      const id = JSON.stringify(key)
      const epoch = (owners.get(id)?.epoch ?? 0) + 1
      const position = await claimFrom(database.progress, key, { epoch, batch: 1, attempt: 1 }, start)
      owners.set(id, { epoch, position, replay: start.replay })
    }

    /** Handles messages with these keys, one offset after the other, in one transaction; tells which were let in. */
    async function handle(
      keys: string[],
      place: Place = {},
      more: { retentionMs?: number; moveBy?: number; then?: () => Promise<void> } = {},
    ): Promise<string[]> {
      const key = keyOf(place)
      const id = JSON.stringify(key)
      if (!owners.has(id)) await claim(place)
      const owner = owners.get(id)!
      const next = owner.position + BigInt(more.moveBy ?? keys.length)
      let known: readonly number[] = []
      const { progress } = database
      const token = { epoch: owner.epoch, batch: 1, attempt: 1 }
      await progress.transact(key, token, owner.position, next, async (tx) => {
        const offsets = keys.map((_, index) => owner.position + BigInt(index))
        const options = { replay: owner.replay, retentionMs: more.retentionMs ?? 60_000 }
        known = await progress.inbox!.admit(tx, key, { keys, offsets }, options)
        await more.then?.()
      })
      owner.position = next
      return keys.filter((_, index) => !known.includes(index))
    }

    it('lets a key in once, whichever partition it comes from', async () => {
      expect(await handle(['a', 'b'])).toEqual(['a', 'b'])
      expect(await handle(['b', 'c', 'a'])).toEqual(['c'])
      expect(await handle(['c', 'd'], { partition: 1 })).toEqual(['d'])
    })

    it('keeps groups and streams apart', async () => {
      await handle(['a'])
      expect(await handle(['a'], { group: 'shipping' })).toEqual(['a'])
      expect(await handle(['a'], { stream: 'returns' })).toEqual(['a'])
    })

    it('takes keys as they are: any length, any character, none at all', async () => {
      const keys = [
        '',
        ' ',
        '"',
        "'",
        '\\',
        '{',
        'a,b',
        'NULL',
        'ä€𝄞',
        'a\u0000b',
        // Bytes that are no UTF-8.
        '\udc80',
        '\udc81',
        'x'.repeat(10_000),
        'X'.repeat(10_000),
      ]
      expect(await handle(keys)).toEqual(keys)
      expect(await handle(keys)).toEqual([])
    })

    it('forgets with the transaction that rolls back', async () => {
      const then = () => Promise.reject(new Error('no'))
      await expect(handle(['a'], {}, { then })).rejects.toThrow('no')
      expect(await handle(['a'])).toEqual(['a'])
    })

    it('lets in a message again that its handler left for later', async () => {
      await handle(['a', 'b', 'c'], {}, { moveBy: 1 })
      expect(await handle(['b', 'c', 'a'])).toEqual(['b', 'c'])
    })

    it('two partitions with the same keys at the same time share them', async () => {
      const keys = Array.from({ length: 500 }, (_, index) => `k${index}`)
      await claim({ partition: 1 })
      await claim({ partition: 2 })
      const [one, two] = await Promise.all([
        handle(keys, { partition: 1 }),
        handle(keys.toReversed(), { partition: 2 }),
      ])
      expect([...one, ...two].sort()).toEqual([...keys].sort())
    })

    it('a partition that waits for the key of a frozen worker goes on when that one has a successor', async () => {
      let frozen = () => {}
      const reached = new Promise<void>((resolve) => {
        frozen = resolve
      })
      let wakeUp = () => {}
      const asleep = new Promise<void>((resolve) => {
        wakeUp = resolve
      })
      const then = () => {
        frozen()
        return asleep
      }
      const old = handle(['a', 'b'], {}, { then }).catch((error: unknown) => error)
      await reached
      const waiting = handle(['b', 'c'], { partition: 1 })
      await claim({})
      expect(await waiting).toEqual(['b', 'c'])
      wakeUp()
      expect(await old).toMatchObject({ code: 'FENCED' })
      expect(await handle(['a', 'b'])).toEqual(['a'])
    })

    describe('after a reset', () => {
      it('lets in again what the partition let in from there on', async () => {
        await handle(['a', 'b', 'x', 'c'])
        await claim({}, { from: 0n, replay: 1 })
        expect(await handle(['a', 'b', 'new', 'c'])).toEqual(['a', 'b', 'new', 'c'])
        expect(await handle(['a', 'b', 'd'])).toEqual(['d'])
      })

      it('keeps out what came before the place it went back to', async () => {
        await handle(['a', 'b'])
        expect(await handle(['a', 'c'])).toEqual(['c'])
        await claim({}, { from: 2n, replay: 1 })
        expect(await handle(['a', 'c'])).toEqual(['c'])
      })

      it('keeps out what another partition let in, and leaves that one as it is', async () => {
        await handle(['a', 'b'])
        await handle(['b', 'c'], { partition: 1 })
        await claim({ partition: 1 }, { from: 0n, replay: 1 })
        expect(await handle(['b', 'c'], { partition: 1 })).toEqual(['c'])
        expect(await handle(['a', 'b', 'c'])).toEqual([])
      })

      it('lets in the later of two when the log has lost the one that was let in', async () => {
        await handle(['lost', 'a'])
        expect(await handle(['lost', 'b'])).toEqual(['b'])
        await claim({}, { from: 0n, replay: 1 })
        expect(await handle(['a'])).toEqual(['a'])
        expect(await handle(['lost', 'b'])).toEqual(['lost', 'b'])
      })

      it('a second one goes by where the second one went back to', async () => {
        await handle(['a', 'b', 'c'])
        await claim({}, { from: 0n, replay: 1 })
        await handle(['a'])
        await claim({}, { from: 1n, replay: 2 })
        expect(await handle(['b', 'a', 'c'])).toEqual(['b', 'c'])
      })
    })

    it('deletes keys whose time is over, so many at once, and no others', async () => {
      await handle(['a', 'b', 'c'], {}, { retentionMs: 0 })
      await handle(['d'])
      expect(await database.progress.inbox!.expire(2)).toBe(2)
      expect(await database.progress.inbox!.expire(2)).toBe(1)
      expect(await database.progress.inbox!.expire(2)).toBe(0)
      expect(await harness.rows()).toBe(1)
      expect(await handle(['a', 'd'])).toEqual(['a'])
    })
  })
}
