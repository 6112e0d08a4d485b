import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FencingToken } from '../../src/model/token.js'
import type { DatabaseClient, SqlProgressLog, Transaction } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'

/** What a kind of SQL database brings besides. It has a table `effects (n int, by_whom text)`. */
export interface SqlHarness {
  connect(): Promise<DatabaseClient>
  /** Runs a statement outside of Tidemark. */
  sql<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]>
  /** A statement that gives the id of its own session, as `id`, and one that ends session `$1`. */
  readonly session: { readonly id: string; readonly end: string }
  close(): Promise<void>
}

/** What a ProgressLog has to do besides where handlers have SQL statements in their hands. */
export function sqlProgressContract(kind: string, open: () => Promise<SqlHarness>): void {
  describe(`${kind} progress, with SQL`, () => {
    let harness: SqlHarness
    let database: DatabaseClient
    let progress: SqlProgressLog
    const key = { group: 'payments', stream: 'orders', partition: 3 }
    const old: FencingToken = { epoch: 1, batch: 5, attempt: 9 }
    const young: FencingToken = { epoch: 2, batch: 1, attempt: 1 }

    beforeEach(async () => {
      harness = await open()
      database = await harness.connect()
      progress = database.progress
      await claimFrom(progress, key, old, start)
    })
    afterEach(async () => {
      await database.close()
      await harness.close()
    })

    const start = { from: 0n, replay: 0 }
    const write = (n: number) => async (tx: Transaction) => {
      await tx.query('insert into effects (n) values ($1)', [n])
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

    it('is forgotten for a group on a stream, whose writers can move nothing any more', async () => {
      const other = { ...key, stream: 'bills' }
      await claimFrom(progress, other, old, start)
      await progress.delete(key)
      expect(await progress.read(key)).toBeNull()
      expect(await progress.read(other)).not.toBeNull()
      await expect(progress.transact(key, old, 0n, 1n, write(1))).rejects.toMatchObject({ code: 'POSITION_CHANGED' })
      expect(await effects()).toEqual([])
    })

    it('what a handler reads in its transaction is what it wrote', async () => {
      await progress.transact(key, old, 0n, 1n, async (tx) => {
        await write(7)(tx)
        expect(await tx.query('select n from effects where n = $1', [7])).toMatchObject({
          rows: [{ n: 7 }],
          rowCount: 1,
        })
      })
    })

    it('that stopped with locks on rows does not hold up the newer one: its session is ended', async () => {
      await harness.sql("insert into effects (n, by_whom) values (0, 'nobody')")
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
      await claimFrom(progress, key, young, start)
      await progress.transact(key, young, 0n, 1n, async (tx) => {
        await by('successor')(tx)
      })
      stopped.open()
      expect(await outcome).toBeInstanceOf(Error)
      expect(await harness.sql('select by_whom from effects')).toEqual([{ by_whom: 'successor' }])
      expect(await position()).toBe(1n)
    })

    it('that stopped with locks on rows is ended by a raised token, too', async () => {
      await harness.sql("insert into effects (n, by_whom) values (0, 'nobody')")
      const stopped = gate()
      const locked = gate()
      const zombie = progress
        .transact(key, old, 0n, 1n, async (tx) => {
          await tx.query("update effects set by_whom = 'zombie'")
          locked.open()
          await stopped.opened
        })
        .catch((error: unknown) => error)
      await locked.opened
      await progress.raise(key, young)
      await harness.sql("update effects set by_whom = 'successor'")
      stopped.open()
      expect(await zombie).toMatchObject({ code: 'FENCED' })
      expect(await harness.sql('select by_whom from effects')).toEqual([{ by_whom: 'successor' }])
    })

    describe('a handler that', () => {
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
        'ends the transaction itself by %s is stopped, and has written nothing',
        async (how) => {
          const error = await failing(async (tx) => {
            await write(0)(tx)
            await tx.query(how).catch(() => {})
            await write(1)(tx)
          })
          expect(error).toMatchObject({ code: 'HANDLER_MISTAKEN', effect: 'stop' })
          expect(await effects()).toEqual([])
        },
      )

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
  })
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}
