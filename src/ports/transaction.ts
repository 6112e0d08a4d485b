import type { OutputRecord } from './record.js'

/** An open SQL transaction. Committing and rolling back are Tidemark's. */
export interface Transaction {
  query<R extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }>
  /**
   * Writes many rows with COPY, the fastest way in. Values mean what they mean as parameters of `query`. Like a query, it fails
   * the transaction when it fails.
   *
   * @param table its name as it is written in the database, with its schema as `schema.table` or `['schema', 'table']`
   * @returns how many rows were written
   */
  copy(
    table: string | readonly string[],
    columns: readonly string[],
    rows: Iterable<readonly unknown[]>,
  ): Promise<number>
  /**
   * A client for query builders and ORMs, with the methods of `pg.ClientBase`. It works until the handler has returned. A
   * transaction that an ORM begins on it is a savepoint.
   */
  readonly client: unknown
}

/** An open transaction of a log that outputs go to. Committing and aborting are Tidemark's. */
export interface OutputTransaction {
  /** Writes messages as part of the transaction. Throws as `OutputClient.send`. */
  send(records: readonly OutputRecord[]): Promise<void>
}
