import pg from 'pg'
import type { Transaction } from '../../ports.js'

type Result = { rows: never[]; rowCount: number | null }

/**
 * One chunk's transaction on a pipelining connection. BEGIN goes out with the handler's first statement, and the fence with
 * COMMIT, so a handler with one insert costs two round trips.
 *
 * The fence comes last on purpose: the progress row is locked for the length of one message, not while the handler runs, so a
 * worker that is stopped in the middle of its handler never keeps the next owner from claiming the partition.
 */
export class ChunkTransaction {
  readonly #pending = new Set<Promise<unknown>>()
  #firstFailure: unknown
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

  /** Runs `work`, then `advance` and COMMIT in one message. Whatever fails rolls all of it back and is thrown. */
  async run(work: (tx: Transaction) => Promise<void>, advance: string): Promise<void> {
    const begun = this.client.query(
      `begin; select set_config('application_name', ${pg.escapeLiteral(this.name)}, true)`,
    )
    begun.catch(() => {})
    try {
      await work(this.#handle())
      await begun
      await this.#settle()
      this.#over = true
      const results = (await this.client.query(`${advance}; commit`)) as unknown as pg.QueryResult[]
      if (results.at(-1)?.command !== 'COMMIT') throw new Error('Postgres rolled the chunk back')
      this.#clean = true
    } catch (error) {
      this.#over = true
      await this.#rollBack(begun)
      throw error
    }
  }

  /** Gives the connection back; one in an unknown state is closed, which makes the server roll back. */
  release(): void {
    this.client.off('error', this.#onError)
    this.client.release(this.#clean ? undefined : new Error('the connection may be inside of a transaction'))
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
          this.#firstFailure ??= error
        },
      )
      return sent
    }
    return { query: query as Transaction['query'], client: this.client }
  }

  /** Waits for statements the handler did not await, and makes sure that the transaction is still the one that was begun. */
  async #settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
    const state = (this.client as unknown as { getTransactionStatus(): 'I' | 'T' | 'E' | null }).getTransactionStatus()
    // A failed statement fails the transaction, also when the handler caught the error; savepoints are for that.
    if (state === 'E')
      throw (
        this.#firstFailure ?? new Error('a statement of the handler failed, so the transaction can not be committed')
      )
    if (state !== 'T')
      throw new Error(
        'the handler ended the transaction itself; leave commit and rollback to Tidemark, or its effects are not tied to its progress',
      )
  }

  async #rollBack(begun: Promise<unknown>): Promise<void> {
    try {
      await begun
      await Promise.allSettled(this.#pending)
      await this.client.query('rollback')
      this.#clean = true
    } catch {
      // release() closes the connection
    }
  }
}
