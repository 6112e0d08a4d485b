import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Transaction } from '../../ports/index.js'
import { driver } from '../client/driver.js'
import { copyRows } from './copy-rows.js'
import { LentClient } from './lent-client.js'

/** SQLSTATE of a statement that comes after a failed one in the same transaction. */
const alreadyFailed = '25P02'
/** SQLSTATE of commands that no transaction may hold, or only at its beginning. */
const notInTransaction = '25001'
const otherTransaction = 'is not the transaction of this chunk'
/** How long a rollback may take, ms: it waits behind statements under way, and those may wait for a lock. */
const patience = 2_000
/** How long a COMMIT may take, ms: constraints that are checked then, a replica that is waited for. */
const commitTimeout = 120_000

/** The handler did something to its transaction that trying again does not mend. */
export class HandlerMistake extends Error {}

/**
 * One chunk's transaction on a pipelining connection. BEGIN goes out before the handler runs, whose first statement waits for its
 * answer, and the fence goes with COMMIT: a handler with one insert costs three round trips.
 *
 * The fence comes last on purpose: the progress row is locked for the length of one message, not while the handler runs, so a
 * worker that is stopped in the middle of its handler never keeps the next owner from claiming the partition.
 */
export class ChunkTransaction {
  /** Why there is no transaction. All statements in it have failed, and say no more than that. */
  #notBegun: unknown
  /** True once the connection is known to be outside of any transaction. */
  #clean = false
  /** True where the next chunk may have the connection: its handler is done, and has left the session as it was. */
  #asGoodAsNew = false
  readonly #onError = () => {}

  constructor(
    private readonly client: pg.PoolClient,
    private readonly name: string,
    private readonly onLate: () => void,
  ) {
    // A connection that breaks while the handler awaits something else must not end the process; the next statement fails.
    client.on('error', this.#onError)
  }

  /** Whatever a handler throws then is about that. */
  get failedToBegin(): boolean {
    return this.#notBegun !== undefined
  }

  /**
   * Runs `work`, then the statement that `advance` makes and COMMIT in one message. Whatever fails rolls all of it back and is thrown.
   *
   * @param check fails for a stale owner. It comes after the session has its name: an owner that passes it is still the newest one,
   *   or its successor, which looks for sessions after its claim, finds this one and ends it.
   * @throws HandlerMistake
   */
  async run(work: (tx: Transaction) => Promise<void>, check: string, advance: () => string): Promise<void> {
    const begun = this.client.query(beginning(this.name, check))
    begun.catch((error) => {
      this.#notBegun = error
    })
    const lent = new LentClient(this.client, begun, this.onLate)
    try {
      await work(transactionOf(lent))
      await begun
      await lent.settled()
      lent.close()
      const mistake = lent.mistake ?? lent.torn
      if (mistake !== undefined) throw new HandlerMistake(mistake)
      if (lent.unsent !== undefined) throw lent.unsent
      // pg knows the option for each statement, its types only for the connection.
      const last = { text: ending(this.name, advance()), query_timeout: commitTimeout }
      const results = (await this.client.query(last)) as unknown as pg.QueryResult[]
      if (results.at(-1)?.command !== 'COMMIT') throw new Error('Postgres rolled the chunk back')
      lent.restore()
      this.#clean = true
      this.#asGoodAsNew = !lent.changed
    } catch (error) {
      lent.close()
      await this.#rollBack(begun, lent)
      throw this.#notBegun ?? explain(error, lent)
    }
  }

  /**
   * Gives the connection back, and tells whether it is outside of any transaction. A connection whose handler has failed, may still be at
   * work, or has changed the session is closed; the server may notice that only once the statement under way is done.
   */
  release(): boolean {
    this.client.off('error', this.#onError)
    this.client.release(this.#asGoodAsNew ? undefined : new Error('the connection may not be used again'))
    return this.#clean
  }

  async #rollBack(begun: Promise<unknown>, lent: LentClient): Promise<void> {
    // Nobody ends the cursor of a handler that has failed.
    if (lent.busy) return
    const rollBack = async () => {
      await begun.catch(() => {})
      await lent.settled()
      await this.client.query('rollback')
    }
    const late = new AbortController()
    this.#clean = await Promise.race([
      rollBack().then(
        () => true,
        () => false,
      ),
      delay(patience, false, { signal: late.signal }).catch(() => false),
    ])
    late.abort()
  }
}

function transactionOf(lent: LentClient): Transaction {
  const query = (text: string, values?: readonly unknown[]) => lent.query(text, values)
  return {
    query: query as Transaction['query'],
    copy: (table, columns, rows) => lent.include(copyRows(lent, table, columns, rows)),
    client: lent,
  }
}

/** Settings that decide what Tidemark's own statements may do and mean. The handler's are put aside for them. */
const settings = ['role', 'search_path'] as const
const set = (name: string, value: string) => `set_config('${name}', ${value}, true)`
const aside = [
  ...settings.map((one) => set(`tidemark.handlers_${one}`, `current_setting('${one}')`)),
  set('role', "current_setting('tidemark.role')"),
  set('search_path', "'pg_catalog'"),
]
/** Constraints and triggers that run at COMMIT are the handler's. */
const back = settings.map((one) => set(one, `current_setting('tidemark.handlers_${one}')`))

/**
 * What Tidemark does in the middle of a handler, in the handler's transaction, but with settings of its own. The chunk waits for it and
 * fails with it, whether or not the handler does.
 */
export function withinHandler<T>(tx: Transaction, work: (own: Pick<Transaction, 'query'>) => Promise<T>): Promise<T> {
  const { client } = tx
  if (!(client instanceof LentClient)) return work(tx)
  const query = (text: string, values?: readonly unknown[]) =>
    client.ownQuery(`select ${aside.join(', ')}`, text, values, `select ${back.join(', ')}`)
  return client.include(work({ query: query as Transaction['query'] }))
}

function beginning(name: string, check: string): string {
  const quoted = driver.escapeLiteral(name)
  const marks = [
    set('application_name', quoted),
    set('tidemark.chunk', quoted),
    set('tidemark.role', "current_setting('role')"),
  ]
  // A role or a database may have default_transaction_read_only.
  return `begin read write; select ${marks.join(', ')}; ${check}`
}

/**
 * Fails unless the open transaction is the one that was begun: its settings end with it. The driver's own idea of the
 * transaction's state is of no use here, since it lags behind a failed statement and can't tell one transaction from another.
 */
function ending(name: string, advance: string): string {
  const chunk = `coalesce(current_setting('tidemark.chunk', true), '')`
  const mine = `case when ${chunk} = ${driver.escapeLiteral(name)} then 0 else (${chunk} || ' ${otherTransaction}')::int end`
  return `select ${[mine, ...aside].join(', ')}; ${advance}; select ${back.join(', ')}; commit`
}

function explain(error: unknown, { mistake, failure }: LentClient): unknown {
  // Whatever the handler, or an ORM, has made of it.
  if (mistake !== undefined) return new HandlerMistake(mistake)
  // A failed statement fails the transaction, also when the handler caught the error; savepoints are for that.
  const first = error instanceof driver.DatabaseError && error.code === alreadyFailed ? (failure ?? error) : error
  if (first instanceof driver.DatabaseError && first === failure && first.code === notInTransaction)
    return new HandlerMistake(`${first.message}; that can't be done in the transaction of a chunk`)
  if (error instanceof Error && error.message.includes(otherTransaction))
    return new HandlerMistake(
      'it ended the transaction itself; leave commit and rollback to Tidemark, or its effects are not tied to its progress',
    )
  return first
}
