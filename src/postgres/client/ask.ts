import type pg from 'pg'
import { ownTypes } from './own-types.js'

/**
 * For statements that take milliseconds: long enough for a busy server, short enough for a partition that waits for a dead
 * one. Milliseconds.
 */
export const answerTimeout = 30_000

/**
 * Runs a statement of Tidemark's, whose rows `ownTypes` read, and which must be answered within so many milliseconds. A connection
 * whose network was cut looks open for many minutes, and whoever shares the answer would wait for it; a late one is an outage, and
 * its connection is thrown away.
 */
export async function ask<R extends pg.QueryResultRow | unknown[]>(
  pool: pg.Pool,
  text: string,
  values: readonly unknown[],
  { within, rowMode }: { readonly within: number; readonly rowMode?: 'array' },
): Promise<R[]> {
  // pg knows the option for each statement, its types only for the connection.
  const config = { text, values: [...values], types: ownTypes, query_timeout: within, ...(rowMode ? { rowMode } : {}) }
  try {
    return (await pool.query(config)).rows as R[]
  } catch (error) {
    if (!(error instanceof Error) || error.message !== 'Query read timeout') throw error
    throw Object.assign(new Error(`Postgres did not answer within ${within} ms`), { code: 'ETIMEDOUT' })
  }
}
