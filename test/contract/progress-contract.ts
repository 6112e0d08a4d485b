import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isTidemarkError } from '../../src/model/errors.js'
import { describeToken, type FencingToken } from '../../src/model/token.js'
import type { DatabaseClient, ProgressLog, Transaction } from '../../src/ports.js'

/** What a kind of SQL database brings to be tested. It has a table `effects (n int, by_whom text)`. */
export interface ProgressHarness {
  connect(): Promise<DatabaseClient>
  /** Runs a statement outside of Tidemark. */
  sql<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]>
  /** A statement that gives the id of its own session, as `id`, and one that ends session `$1`. */
  readonly session: { readonly id: string; readonly end: string }
  close(): Promise<void>
}

/** The suite that makes a ProgressLog one: a handler's writes and its progress are one, and only the newest owner has any. */
export function progressContract(kind: string, open: () => Promise<ProgressHarness>): void {
  describe(`${kind} progress`, () => {
    let harness: ProgressHarness
    let database: DatabaseClient
    let progress: ProgressLog
    const key = { group: 'payments', stream: 'orders', partition: 3 }
    const old: FencingToken = { epoch: 1, batch: 5, attempt: 9 }
    const young: FencingToken = { epoch: 2, batch: 1, attempt: 1 }
    const fenced = { code: 'FENCED' }

    beforeEach(async () => {
      harness = await open()
      database = await harness.connect()
      progress = database.progress
    })
    afterEach(async () => {
      await database.close()
      await harness.close()
    })

    const start = { from: 0n, replay: 0 }
    const write =
      (n: number, by = 'somebody') =>
      async (tx: Transaction) => {
        await tx.query('insert into effects (n, by_whom) values ($1, $2)', [n, by])
      }
    const effects = async () => (await harness.sql<{ n: number }>('select n from effects order by n')).map(({ n }) => n)
    const position = async () => (await progress.read(key))?.position

    /** Runs a transaction that must fail and leave nothing behind. */
    async function failing(work: (tx: Transaction) => Promise<void>): Promise<Error> {
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
        expect(await progress.claim(key, old, { from: 7n, replay: 2 })).toBe(7n)
        expect(await progress.read(key)).toEqual({ position: 7n, token: old, replay: 2 })
      })

      it.each(
        [
          { epoch: 2, batch: 0, attempt: 0 },
          { epoch: 1, batch: 6, attempt: 0 },
          { epoch: 1, batch: 5, attempt: 10 },
        ].map((token) => ({ token, name: describeToken(token) })),
      )('a claim by $name after 1.5.9 goes on at the stored position', async ({ token }) => {
        await progress.claim(key, old, start)
        await progress.advance(key, old, 0n, 4n)
        expect(await progress.claim(key, token, { from: 1n, replay: 0 })).toBe(4n)
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
        await progress.claim(key, old, start)
        await expect(progress.claim(key, token, start)).rejects.toMatchObject(fenced)
        expect((await progress.read(key))!.token).toEqual(old)
      })

      it('a newer replay begins at its own position, an older one does not', async () => {
        await progress.claim(key, old, start)
        await progress.advance(key, old, 0n, 100n)
        expect(await progress.claim(key, young, { from: 20n, replay: 1 })).toBe(20n)
        expect(await progress.claim(key, { ...young, batch: 2 }, { from: 5n, replay: 1 })).toBe(20n)
        expect(await progress.read(key)).toMatchObject({ position: 20n, replay: 1 })
      })

      it('of 32 claims at once the greatest token stays', async () => {
        const claims = Array.from({ length: 32 }, (_, n) => ({ epoch: ((n * 13) % 32) + 1, batch: 1, attempt: 1 }))
        const outcomes = await Promise.allSettled(claims.map((token) => progress.claim(key, token, start)))
        for (const one of outcomes) if (one.status === 'rejected') expect(one.reason).toMatchObject(fenced)
        expect((await progress.read(key))!.token.epoch).toBe(32)
      })
    })

    describe('moving on', () => {
      it('without a transaction: from where it is, by its owner', async () => {
        await progress.claim(key, old, start)
        await progress.advance(key, old, 0n, 4n)
        await expect(progress.advance(key, old, 0n, 8n)).rejects.toMatchObject(fenced)
        await progress.claim(key, young, start)
        await expect(progress.advance(key, old, 4n, 8n)).rejects.toMatchObject(fenced)
        expect(await position()).toBe(4n)
      })

      it('effects and progress come together', async () => {
        await progress.claim(key, old, start)
        await progress.transact(key, old, 0n, 1n, write(0))
        await progress.transact(key, old, 1n, 2n, write(1))
        expect([await effects(), await position()]).toEqual([[0, 1], 2n])
      })

      it('a handler that writes nothing moves on as well', async () => {
        await progress.claim(key, old, start)
        await progress.transact(key, old, 0n, 5n, async () => {})
        expect(await position()).toBe(5n)
      })

      it('what a handler reads in its transaction is what it wrote', async () => {
        await progress.claim(key, old, start)
        await progress.transact(key, old, 0n, 1n, async (tx) => {
          await write(7)(tx)
          expect(await tx.query('select n from effects where n = $1', [7])).toMatchObject({
            rows: [{ n: 7 }],
            rowCount: 1,
          })
        })
      })
    })

    describe('an older owner', () => {
      it('writes nothing once a newer one has claimed', async () => {
        await progress.claim(key, old, start)
        await progress.claim(key, young, start)
        await expect(progress.transact(key, old, 0n, 1n, write(0))).rejects.toMatchObject(fenced)
        expect([await effects(), await position()]).toEqual([[], 0n])
      })

      it('that begins after the newer one has claimed gets no further than its first statement', async () => {
        await progress.claim(key, old, start)
        await progress.claim(key, young, start)
        let further = false
        const stale = progress.transact(key, old, 0n, 1n, async (tx) => {
          await write(0)(tx)
          further = true
        })
        await expect(stale).rejects.toMatchObject(fenced)
        expect(further).toBe(false)
      })

      it('that is in the middle of its work writes nothing either', async () => {
        await progress.claim(key, old, start)
        const zombie = progress.transact(key, old, 0n, 1n, async (tx) => {
          await write(0)(tx)
          await progress.claim(key, young, start)
        })
        await expect(zombie).rejects.toThrow()
        await progress.transact(key, young, 0n, 1n, write(1))
        expect([await effects(), await position()]).toEqual([[1], 1n])
      })

      it('that stopped with locks on rows does not hold up the newer one: its session is ended', async () => {
        await harness.sql("insert into effects (n, by_whom) values (0, 'nobody')")
        await progress.claim(key, old, start)
        const stopped = gate()
        const locked = gate()
        const by = (whom: string) => (tx: Transaction) => tx.query('update effects set by_whom = $1', [whom])
        const zombie = progress.transact(key, old, 0n, 1n, async (tx) => {
          await by('zombie')(tx)
          locked.open()
          await stopped.opened
        })
        const outcome = zombie.then(
          () => null,
          (error: unknown) => error,
        )
        await locked.opened
        await progress.claim(key, young, start)
        await progress.transact(key, young, 0n, 1n, async (tx) => {
          await by('successor')(tx)
        })
        stopped.open()
        expect(await outcome).toBeInstanceOf(Error)
        expect(await harness.sql('select by_whom from effects')).toEqual([{ by_whom: 'successor' }])
        expect(await position()).toBe(1n)
      })

      it('of another partition, or in the same place of another group, is left alone', async () => {
        const others = [
          { ...key, partition: 4 },
          { ...key, group: 'other' },
        ]
        for (const one of [key, ...others]) await progress.claim(one, old, start)
        await Promise.all(
          others.map((other, n) =>
            progress.transact(other, old, 0n, 1n, async (tx) => {
              await write(n)(tx)
              await progress.claim(key, { ...young, attempt: 2 + n }, start)
              await write(n + 10)(tx)
            }),
          ),
        ).catch((error) => {
          // The two claims race; only the slower one's may be fenced off, and that is no matter here.
          if (!isTidemarkError(error) || error.code !== 'FENCED') throw error
        })
        expect(await effects()).toContain(11)
      })
    })

    describe('a handler that', () => {
      beforeEach(() => progress.claim(key, old, start).then(() => {}))

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

      it('forgets to await a statement that fails has nothing done', async () => {
        await failing(async (tx) => {
          await write(0)(tx)
          void tx.query('select 1 / 0').catch(() => {})
        })
        expect(await effects()).toEqual([])
      })

      it('swallows a failed statement is told of it', async () => {
        const error = await failing(async (tx) => {
          await write(0)(tx)
          await tx.query('insert into nowhere values (1)').catch(() => {})
        })
        expect(error.message).toContain('nowhere')
        expect(await effects()).toEqual([])
      })

      it('guards a statement by a savepoint goes on', async () => {
        await progress.transact(key, old, 0n, 1n, async (tx) => {
          await write(0)(tx)
          await tx.query('savepoint here')
          await tx.query('select 1 / 0').catch(() => tx.query('rollback to here'))
          await write(1)(tx)
        })
        expect([await effects(), await position()]).toEqual([[0, 1], 1n])
      })

      it.each(['commit', 'rollback', 'commit; begin', 'rollback; begin'])(
        'ends the transaction itself by %s is told not to',
        async (how) => {
          const error = await failing(async (tx) => {
            await tx.query(how)
            await write(1)(tx)
          })
          expect(error.message).toContain('ended the transaction itself')
          // What the handler wrote after an end of its own is its own affair; in a transaction it began it is rolled back.
          if (how.endsWith('begin')) expect(await effects()).toEqual([])
        },
      )

      it('keeps its transaction for later can not use it', async () => {
        let kept: Transaction | undefined
        await progress.transact(key, old, 0n, 1n, async (tx) => {
          kept = tx
        })
        await expect(kept!.query('insert into effects (n) values (99)')).rejects.toThrow('is over')
        expect(await effects()).toEqual([])
      })

      it('loses its connection leaves nothing behind, and the next one works', async () => {
        await failing(async (tx) => {
          await write(0)(tx)
          const { rows } = await tx.query<{ id: unknown }>(harness.session.id)
          await harness.sql(harness.session.end, [rows[0]!.id])
          await write(1)(tx)
        })
        expect(await effects()).toEqual([])
        await progress.transact(key, old, 0n, 1n, write(2))
        expect([await effects(), await position()]).toEqual([[2], 1n])
      })

      it('loses its connection while it does something else leaves nothing behind', async () => {
        await failing(async (tx) => {
          await write(0)(tx)
          const { rows } = await tx.query<{ id: unknown }>(harness.session.id)
          await harness.sql(harness.session.end, [rows[0]!.id])
        })
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
          await harness.sql('delete from effects')
          const owners = Array.from({ length: 4 }, () => ({ token: null as FencingToken | null, position: 0n }))
          let epoch = 0
          const perform = async (one: (typeof plan)[number][number]) => {
            const self = owners[one.owner]!
            if (one.kind === 'claim') {
              const token = { epoch: ++epoch, batch: 1, attempt: 1 }
              self.position = await progress.claim(place, token, start)
              self.token = token
            } else if (self.token) {
              const [from, to] = [self.position, self.position + BigInt(one.size)]
              await progress.transact(place, self.token, from, to, async (tx) => {
                await tx.query('insert into effects (n) select generate_series($1::int, $2::int)', [
                  Number(from),
                  Number(to) - 1,
                ])
                if (one.fails === 'throws') throw new Error('on purpose')
                if (one.fails === 'breaks') await tx.query('select 1 / 0').catch(() => {})
              })
              self.position = to
            }
          }
          // Failures are expected of everybody; what counts is what is there in the end.
          for (const round of plan) await Promise.allSettled(round.map(perform))
          const reached = Number((await progress.read(place))?.position ?? 0n)
          expect(await effects()).toEqual(Array.from({ length: reached }, (_, n) => n))
        }),
        { numRuns: 60 },
      )
    })
  })
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}
