import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeToken, type FencingToken } from '../../src/model/token.js'
import type { Transaction, TransactionalProgressLog } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'

/** What a kind of log of progress brings to be tested. Effects are numbers, written as part of a transaction. */
export interface ProgressHarness<T> {
  connect(): Promise<{ readonly progress: TransactionalProgressLog<T>; close(): Promise<void> }>
  write(tx: T, effects: readonly number[]): Promise<unknown>
  /** Fails, and leaves the transaction so that it can't be committed. */
  spoil(tx: T): Promise<unknown>
  /** What has been written, in ascending order. */
  effects(): Promise<number[]>
  clear(): Promise<void>
  /** How many orders of events are tried. */
  readonly runs?: number
  close(): Promise<void>
}

/** The suite that makes a ProgressLog one: a handler's writes and its progress are one, and only the newest owner has any. */
export function progressContract<T = Transaction>(kind: string, open: () => Promise<ProgressHarness<T>>): void {
  describe(`${kind} progress`, () => {
    let harness: ProgressHarness<T>
    let connected: Awaited<ReturnType<ProgressHarness<T>['connect']>>
    let progress: TransactionalProgressLog<T>
    const key = { group: 'payments', stream: 'orders', partition: 3 }
    const old: FencingToken = { epoch: 1, batch: 5, attempt: 9 }
    const young: FencingToken = { epoch: 2, batch: 1, attempt: 1 }
    const fenced = { code: 'FENCED' }
    /** A log that can tell why says that nobody newer is there. */
    const notItsOwn = { code: expect.stringMatching(/^(FENCED|POSITION_CHANGED)$/) }

    beforeEach(async () => {
      harness = await open()
      connected = await harness.connect()
      progress = connected.progress
    })
    afterEach(async () => {
      await connected.close()
      await harness.close()
    })

    const start = { from: 0n, replay: 0 }
    const write = (n: number) => async (tx: T) => {
      await harness.write(tx, [n])
    }
    const effects = () => harness.effects()
    const position = async () => (await progress.read(key))?.position

    /** Runs a transaction that must fail and leave nothing behind. */
    async function failing(work: (tx: T) => Promise<void>): Promise<Error> {
      const error = await progress.transact(key, old, 0n, 10n, work).then(
        () => null,
        (error: unknown) => error as Error,
      )
      expect(error).toBeInstanceOf(Error)
      expect(await position()).toBe(0n)
      return error!
    }

    describe('ownership', () => {
      it('nothing is known of a partition that nobody has claimed', async () => {
        expect(await progress.read(key)).toBeNull()
      })

      it('the first claim begins where it says', async () => {
        expect(await claimFrom(progress, key, old, { from: 7n, replay: 2 })).toBe(7n)
        expect(await progress.read(key)).toMatchObject({ position: 7n, token: old, replay: 2 })
      })

      it.each(
        [
          { epoch: 2, batch: 0, attempt: 0 },
          { epoch: 1, batch: 6, attempt: 0 },
          { epoch: 1, batch: 5, attempt: 10 },
        ].map((token) => ({ token, name: describeToken(token) })),
      )('a claim by $name after 1.5.9 goes on at the stored position', async ({ token }) => {
        await claimFrom(progress, key, old, start)
        await progress.advance(key, old, 0n, 4n)
        expect(await claimFrom(progress, key, token, { from: 1n, replay: 0 })).toBe(4n)
        expect((await progress.read(key))!.token).toEqual(token)
      })

      it.each(
        [
          { epoch: 1, batch: 5, attempt: 9 },
          { epoch: 1, batch: 5, attempt: 8 },
          { epoch: 1, batch: 4, attempt: 99 },
          { epoch: 0, batch: 99, attempt: 99 },
        ].map((token) => ({ token, name: describeToken(token) })),
      )('a claim by $name after 1.5.9 is fenced off', async ({ token }) => {
        await claimFrom(progress, key, old, start)
        await expect(claimFrom(progress, key, token, start)).rejects.toMatchObject(fenced)
        expect((await progress.read(key))!.token).toEqual(old)
      })

      it('a newer replay begins at its own position, an older one does not', async () => {
        await claimFrom(progress, key, old, start)
        await progress.advance(key, old, 0n, 100n)
        expect(await claimFrom(progress, key, young, { from: 20n, replay: 1 })).toBe(20n)
        expect(await claimFrom(progress, key, { ...young, batch: 2 }, { from: 5n, replay: 1 })).toBe(20n)
        expect(await progress.read(key)).toMatchObject({ position: 20n, replay: 1 })
      })

      it('a newer replay that begins where an older owner works is moved by nobody before it is claimed', async () => {
        if (!progress.outranksStore) return
        const owner: FencingToken = { ...old, owner: 'a' }
        await claimFrom(progress, key, owner, start)
        await progress.begin(key, { position: 0n, replay: 1, identity: null })
        const moving = progress.transact(key, owner, 0n, 10n, write(1))
        await expect(moving).rejects.toMatchObject(notItsOwn)
        await expect(progress.advance(key, owner, 0n, 10n)).rejects.toMatchObject(notItsOwn)
        // Nor by one that is in the middle of its chunk.
        await progress.claim(key, young, { from: 0n, replay: 1 })
        const next: FencingToken = { ...young, batch: 2, owner: 'b' }
        await progress.claim(key, next, { from: 0n, replay: 1 })
        const inTheMiddle = progress.transact(key, next, 0n, 10n, async (tx) => {
          await write(2)(tx)
          await progress.begin(key, { position: 0n, replay: 2, identity: null })
        })
        await expect(inTheMiddle).rejects.toMatchObject(notItsOwn)
        expect([await position(), await effects()]).toEqual([0n, []])
        expect(await progress.claim(key, { ...next, owner: 'c', batch: 3 }, { from: 0n, replay: 2 })).toMatchObject({
          position: 0n,
        })
      })

      it('of 32 claims at once the greatest token stays', async () => {
        const claims = Array.from({ length: 32 }, (_, n) => ({ epoch: ((n * 13) % 32) + 1, batch: 1, attempt: 1 }))
        const outcomes = await Promise.allSettled(claims.map((token) => claimFrom(progress, key, token, start)))
        for (const one of outcomes) if (one.status === 'rejected') expect(one.reason).toMatchObject(fenced)
        expect((await progress.read(key))!.token.epoch).toBe(32)
      })
    })

    describe('a raised token', () => {
      const raised = { ...young, attempt: 2 }

      it('fences off an older owner, and leaves position and replay', async () => {
        await claimFrom(progress, key, old, { from: 3n, replay: 1 })
        await progress.raise(key, raised)
        await expect(progress.advance(key, old, 3n, 4n)).rejects.toMatchObject(fenced)
        await expect(progress.transact(key, old, 3n, 4n, write(0))).rejects.toMatchObject(fenced)
        expect(await progress.read(key)).toMatchObject({ position: 3n, token: raised, replay: 1 })
        expect(await effects()).toEqual([])
      })

      it('ends an older owner in the middle of its work', async () => {
        await claimFrom(progress, key, old, start)
        const zombie = progress.transact(key, old, 0n, 1n, async (tx) => {
          await write(0)(tx)
          await progress.raise(key, raised)
        })
        await expect(zombie).rejects.toThrow()
        expect([await effects(), await position()]).toEqual([[], 0n])
      })

      it('lets its own writer claim, once, at the stored position', async () => {
        await claimFrom(progress, key, old, start)
        await progress.advance(key, old, 0n, 4n)
        await progress.raise(key, raised)
        expect(await claimFrom(progress, key, raised, { from: 1n, replay: 0 })).toBe(4n)
        await expect(claimFrom(progress, key, raised, start)).rejects.toMatchObject(fenced)
        await progress.transact(key, raised, 4n, 5n, write(0))
        expect([await effects(), await position()]).toEqual([[0], 5n])
      })

      it('of a partition without progress creates no position, and refuses older writers that claim later', async () => {
        await progress.raise(key, raised)
        expect(await progress.read(key)).toBeNull()
        await expect(progress.claim(key, old, start)).rejects.toMatchObject(fenced)
        await expect(progress.claim(key, young, start)).rejects.toMatchObject(fenced)
        await expect(progress.advance(key, old, 0n, 1n)).rejects.toMatchObject(notItsOwn)
        expect(await progress.read(key)).toBeNull()
        expect(await claimFrom(progress, key, raised, { from: 7n, replay: 0 })).toBe(7n)
        expect(await progress.read(key)).toMatchObject({ position: 7n, token: raised, replay: 0 })
      })

      it.each([
        { name: 'the same', token: old },
        { name: 'a smaller', token: { ...old, attempt: 8 } },
      ])('after a claim of $name or a greater token changes nothing: the owner works on', async ({ token }) => {
        await claimFrom(progress, key, old, start)
        await progress.raise(key, token)
        await progress.transact(key, old, 0n, 1n, async (tx) => {
          await write(0)(tx)
          await progress.raise(key, token)
        })
        await expect(claimFrom(progress, key, token, start)).rejects.toMatchObject(fenced)
        expect(await effects()).toEqual([0])
        expect(await progress.read(key)).toMatchObject({ position: 1n, token: old, replay: 0 })
      })

      it('stays behind a greater one, and can be raised again', async () => {
        const greater = { ...raised, epoch: 9 }
        await Promise.all([raised, greater, young, raised].map((token) => progress.raise(key, token)))
        await progress.raise(key, young)
        await progress.raise(key, greater)
        await expect(claimFrom(progress, key, raised, start)).rejects.toMatchObject(fenced)
        expect(await claimFrom(progress, key, greater, start)).toBe(0n)
      })

      it('of one partition leaves the others alone', async () => {
        const other = { ...key, partition: 4 }
        await claimFrom(progress, other, old, start)
        await progress.raise(key, raised)
        await progress.transact(other, old, 0n, 1n, write(0))
        expect(await effects()).toEqual([0])
      })
    })

    describe('the witness of a position', () => {
      const claimed = async (token: FencingToken, replay = 0) => progress.claim(key, token, { from: 0n, replay })

      it('comes with the claim of the next owner', async () => {
        await claimFrom(progress, key, old, start)
        await progress.advance(key, old, 0n, 4n, 'e7')
        expect(await progress.read(key)).toMatchObject({ position: 4n, witness: 'e7' })
        expect(await claimed(young)).toEqual({ position: 4n, witness: 'e7' })
        await progress.transact(key, young, 4n, 5n, write(0), "it's e8")
        expect(await claimed({ ...young, batch: 9 })).toEqual({ position: 5n, witness: "it's e8" })
      })

      it('stays as long as the position does', async () => {
        await claimFrom(progress, key, old, start)
        await progress.advance(key, old, 0n, 4n, 'e7')
        await progress.raise(key, young)
        await progress.begin(key, { position: 0n, replay: 0, identity: null })
        expect(await claimed(young)).toEqual({ position: 4n, witness: 'e7' })
      })

      it('goes with it: a step that has none, and a newer replay, leave none', async () => {
        await claimFrom(progress, key, old, start)
        expect(await progress.read(key)).toMatchObject({ witness: null })
        await progress.advance(key, old, 0n, 4n, 'e7')
        await progress.advance(key, old, 4n, 5n)
        expect(await progress.read(key)).toMatchObject({ position: 5n, witness: null })
        await progress.transact(key, old, 5n, 6n, write(0), 'e8')
        await progress.transact(key, old, 6n, 7n, write(1))
        expect(await claimed(young)).toEqual({ position: 7n, witness: null })
        await progress.advance(key, young, 7n, 8n, 'e9')
        const next = { ...young, epoch: young.epoch + 1 }
        await progress.begin(key, { position: 8n, replay: 1, identity: null })
        expect(await progress.claim(key, next, { from: 8n, replay: 1 })).toEqual({ position: 8n, witness: null })
      })
    })

    describe('moving on', () => {
      it('without a transaction: from where it is, by its owner', async () => {
        await claimFrom(progress, key, old, start)
        await progress.advance(key, old, 0n, 4n)
        await expect(progress.advance(key, old, 0n, 8n)).rejects.toMatchObject(notItsOwn)
        await claimFrom(progress, key, young, start)
        await expect(progress.advance(key, old, 4n, 8n)).rejects.toMatchObject(fenced)
        expect(await position()).toBe(4n)
      })

      it('effects and progress come together', async () => {
        await claimFrom(progress, key, old, start)
        await progress.transact(key, old, 0n, 1n, write(0))
        await progress.transact(key, old, 1n, 2n, write(1))
        expect([await effects(), await position()]).toEqual([[0, 1], 2n])
      })

      it('a handler that writes nothing moves on as well', async () => {
        await claimFrom(progress, key, old, start)
        await progress.transact(key, old, 0n, 5n, async () => {})
        expect(await position()).toBe(5n)
      })
    })

    describe('an older owner', () => {
      it('writes nothing once a newer one has claimed', async () => {
        await claimFrom(progress, key, old, start)
        await claimFrom(progress, key, young, start)
        await expect(progress.transact(key, old, 0n, 1n, write(0))).rejects.toMatchObject(fenced)
        expect([await effects(), await position()]).toEqual([[], 0n])
      })

      it('that begins after the newer one has claimed gets no further than its first statement', async () => {
        await claimFrom(progress, key, old, start)
        await claimFrom(progress, key, young, start)
        let further = false
        const stale = progress.transact(key, old, 0n, 1n, async (tx) => {
          await write(0)(tx)
          further = true
        })
        await expect(stale).rejects.toMatchObject(fenced)
        expect(further).toBe(false)
      })

      it('that is in the middle of its work writes nothing either', async () => {
        await claimFrom(progress, key, old, start)
        const zombie = progress.transact(key, old, 0n, 1n, async (tx) => {
          await write(0)(tx)
          await claimFrom(progress, key, young, start)
        })
        await expect(zombie).rejects.toThrow()
        await progress.transact(key, young, 0n, 1n, write(1))
        expect([await effects(), await position()]).toEqual([[1], 1n])
      })

      it('of another partition, or in the same place of another group, is left alone', async () => {
        const others = [
          { ...key, partition: 4 },
          { ...key, group: 'other' },
        ]
        for (const one of [key, ...others]) await claimFrom(progress, one, old, start)
        // The two claims race; only the slower one's may be fenced off, and that is no matter here. But both are awaited.
        const [first, second] = await Promise.allSettled(
          others.map((other, n) =>
            progress.transact(other, old, 0n, 1n, async (tx) => {
              await write(n)(tx)
              await claimFrom(progress, key, { ...young, attempt: 2 + n }, start)
              await write(n + 10)(tx)
            }),
          ),
        )
        if (first?.status === 'rejected') expect(first.reason).toMatchObject({ code: 'FENCED' })
        expect(second!.status).toBe('fulfilled')
        expect(await effects()).toContain(11)
      })
    })

    describe('a handler that', () => {
      beforeEach(() => claimFrom(progress, key, old, start).then(() => {}))

      it('throws leaves nothing behind, and its error comes through', async () => {
        const mine = new Error('mine')
        const error = await failing(async (tx) => {
          await write(0)(tx)
          throw mine
        })
        expect(error).toBe(mine)
        expect(await effects()).toEqual([])
      })

      it('forgets to await a statement has it done all the same', async () => {
        await progress.transact(key, old, 0n, 1n, async (tx) => {
          void write(0)(tx)
        })
        expect([await effects(), await position()]).toEqual([[0], 1n])
      })

      it('swallows a failed write has nothing done', async () => {
        await failing(async (tx) => {
          await write(0)(tx)
          await harness.spoil(tx).catch(() => {})
        })
        expect(await effects()).toEqual([])
      })

      it('keeps its transaction for later can not use it', async () => {
        let kept: T | undefined
        await progress.transact(key, old, 0n, 1n, async (tx) => {
          kept = tx
        })
        await expect(harness.write(kept!, [99])).rejects.toThrow('is over')
        expect(await effects()).toEqual([])
      })
    })

    it('whoever claims and works in whatever order: effects are exactly the ranges of progress', async () => {
      const owner = fc.nat({ max: 3 })
      const step = fc.oneof(
        fc.record({ kind: fc.constant('claim' as const), owner }),
        fc.record({
          kind: fc.constant('work' as const),
          owner,
          size: fc.integer({ min: 1, max: 4 }),
          fails: fc.constantFrom('no', 'no', 'no', 'throws', 'breaks'),
        }),
      )
      const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 10 })
      let partition = 100
      await fc.assert(
        fc.asyncProperty(rounds, async (plan) => {
          const place = { ...key, partition: ++partition }
          await harness.clear()
          const owners = Array.from({ length: 4 }, () => ({ token: null as FencingToken | null, position: 0n }))
          let epoch = 0
          const perform = async (one: (typeof plan)[number][number]) => {
            const self = owners[one.owner]!
            if (one.kind === 'claim') {
              const token = { epoch: ++epoch, batch: 1, attempt: 1 }
              self.position = await claimFrom(progress, place, token, start)
              self.token = token
            } else if (self.token) {
              const [from, to] = [self.position, self.position + BigInt(one.size)]
              await progress.transact(place, self.token, from, to, async (tx) => {
                const numbers = Array.from({ length: one.size }, (_, n) => Number(from) + n)
                await harness.write(tx, numbers)
                if (one.fails === 'throws') throw new Error('on purpose')
                if (one.fails === 'breaks') await harness.spoil(tx).catch(() => {})
              })
              self.position = to
            }
          }
          // Failures are expected of everybody; what counts is what is there in the end.
          for (const round of plan) await Promise.allSettled(round.map(perform))
          const reached = Number((await progress.read(place))?.position ?? 0n)
          expect(await effects()).toEqual(Array.from({ length: reached }, (_, n) => n))
        }),
        { numRuns: harness.runs ?? 60 },
      )
    })
  })
}
