import type { OutputRecord } from './record.js'

/** An open SQL transaction. Committing and rolling back are Tidemark's. */
export interface Transaction {
  query<R extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }>
  /** The driver's own client (`pg.ClientBase`), for query builders and ORMs. */
  readonly client: unknown
}

/** An open transaction of a log that outputs go to. Committing and aborting are Tidemark's. */
export interface OutputTransaction {
  /** Writes messages as part of the transaction. Throws as `OutputClient.send`. */
  send(records: readonly OutputRecord[]): Promise<void>
}
