import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Transaction } from '../../ports/index.js'

type Result = { rows: never[]; rowCount: number | null }

/** SQLSTATE of a statement that comes after a failed one in the same transaction. */
const alreadyFailed = '25P02'
const otherTransaction = 'is not the transaction of this chunk'
/** How long a rollback may take, ms: it waits behind statements under way, and those may wait for a lock. */
const patience = 2_000
/** How long a COMMIT may take, ms: constraints that are checked then, a replica that is waited for. */
const commitTimeout = 120_000

/**
 * One chunk's transaction on a pipelining connection. BEGIN goes out with the handler's first statement, and the fence with
 * COMMIT, so a handler with one insert costs two round trips.
 *
 * The fence comes last on purpose: the progress row is locked for the length of one message, not while the handler runs, so a
 * worker that is stopped in the middle of its handler never keeps the next owner from claiming the partition.
 */
export class ChunkTransaction {
  readonly #pending = new Set<Promise<unknown>>()
  /** Why the transaction failed, if a statement of the handler did that. */
  #failure: unknown
  /** Why a statement never reached the server, which then knows of no failure. */
  #unsent: unknown
  /** Why there is no transaction. All statements in it have failed, and say no more than that. */
  #notBegun: unknown
  #over = false
  /** True once the connection is known to be outside of any transaction. */
  #clean = false
  readonly #onError = () => {}

  constructor(
    private readonly client: pg.PoolClient,
    private readonly name: string,
  ) {
    // A connection that breaks while the handler awaits something else must not end the process; the next statement fails.
    client.on('error', this.#onError)
  }

  /**
   * Runs `work`, then the statement that `advance` makes and COMMIT in one message. Whatever fails rolls all of it back and is thrown.
   *
   * @param check fails for a stale owner. It comes after the session has its name: an owner that passes it is still the newest one,
   *   or its successor, which looks for sessions after its claim, finds this one and ends it.
   */
  async run(work: (tx: Transaction) => Promise<void>, check: string, advance: () => string): Promise<void> {
    const name = pg.escapeLiteral(this.name)
    const begun = this.client.query(
      `begin; select set_config('application_name', ${name}, true), set_config('tidemark.chunk', ${name}, true); ${check}`,
    )
    begun.catch((error) => {
      this.#notBegun = error
    })
    try {
      await work(this.#handle())
      await begun
      while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
      this.#over = true
      if (this.#unsent !== undefined) throw this.#unsent
      // pg knows the option for each statement, its types only for the connection.
      const last = { text: `${this.#mine()}; ${advance()}; commit`, query_timeout: commitTimeout }
      const results = (await this.client.query(last)) as unknown as pg.QueryResult[]
      if (results.at(-1)?.command !== 'COMMIT') throw new Error('Postgres rolled the chunk back')
      this.#clean = true
    } catch (error) {
      this.#over = true
      await this.#rollBack(begun)
      throw this.#notBegun ?? this.#explain(error)
    }
  }

  /**
   * Gives the connection back, and tells whether it is as good as new. If not, it is closed; the server may notice that only
   * once the statement under way is done.
   */
  release(): boolean {
    this.client.off('error', this.#onError)
    this.client.release(this.#clean ? undefined : new Error('the connection may be inside of a transaction'))
    return this.#clean
  }

  #handle(): Transaction {
    const query = (text: string, values?: readonly unknown[]): Promise<Result> => {
      if (this.#over)
        return Promise.reject(
          new Error('the transaction of this chunk is over: await every query before the handler returns'),
        )
      const sent = this.client.query(text, values as unknown[]) as unknown as Promise<Result>
      this.#pending.add(sent)
      sent.then(
        () => this.#pending.delete(sent),
        (error) => {
          this.#pending.delete(sent)
          if (!(error instanceof pg.DatabaseError)) this.#unsent ??= error
          if (codeOf(error) !== alreadyFailed) this.#failure = error
        },
      )
      return sent
    }
    return { query: query as Transaction['query'], client: this.client }
  }

  /**
   * Fails unless the open transaction is the one that was begun: its settings end with it. The driver's own idea of the
   * transaction's state is of no use here, since it lags behind a failed statement and can't tell one transaction from another.
   */
  #mine(): string {
    const chunk = `coalesce(current_setting('tidemark.chunk', true), '')`
    return `select case when ${chunk} = ${pg.escapeLiteral(this.name)} then 0 else (${chunk} || ' ${otherTransaction}')::int end`
  }

  #explain(error: unknown): unknown {
    // A failed statement fails the transaction, also when the handler caught the error; savepoints are for that.
    if (codeOf(error) === alreadyFailed) return this.#failure ?? error
    if (error instanceof Error && error.message.includes(otherTransaction))
      return new Error(
        'the handler ended the transaction itself; leave commit and rollback to Tidemark, or its effects are not tied to its progress',
      )
    return error
  }

  async #rollBack(begun: Promise<unknown>): Promise<void> {
    const rollBack = async () => {
      await Promise.allSettled([begun, ...this.#pending])
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

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined
}
