import type pg from 'pg'
import { isWellFormed } from '../../ports/text.js'
import { driver, prepareValue } from '../client/driver.js'
import type { LentClient } from './lent-client.js'

/** Bytes of one message: small enough to be made and sent in turns, large enough to cost nothing. */
const pieceBytes = 256 * 1024

/**
 * Writes rows with COPY. They are sent behind the command at once, without waiting for its answer: where the command fails, the server
 * throws them away. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 *
 * @returns how many rows were written
 * @throws Error for a value that Postgres can't hold, with its row and column, before anything is sent
 */
export async function copyRows(
  client: LentClient,
  table: string | readonly string[],
  columns: readonly string[],
  rows: Iterable<readonly unknown[]>,
): Promise<number> {
  const names = (typeof table === 'string' ? table.split('.') : table).map(driver.escapeIdentifier).join('.')
  const pieces = piecesOf(columns, rows)
  const text = `copy ${names} (${columns.map(driver.escapeIdentifier).join(', ')}) from stdin`
  return new Promise((resolve, reject) => {
    client.query(new CopyIn(text, pieces, (error, result) => (error ? reject(error) : resolve(result?.rowCount ?? 0))))
  })
}

interface Connection {
  query(text: string): void
  sendCopyFail(why: string): void
  readonly stream: { cork(): void; uncork(): void }
  sendCopyFromChunk(piece: Buffer): void
  endCopyFrom(): void
}

/** One of pg's own queries, so that it may share the pipeline. */
class CopyIn extends driver.Query {
  constructor(
    text: string,
    private readonly pieces: readonly Buffer[],
    callback: (error: Error | undefined, result?: pg.QueryResult) => void,
  ) {
    super({ text }, callback as never)
  }

  override submit = (connection: pg.Connection): void => {
    const to = connection as unknown as Connection
    to.stream.cork()
    to.query(Reflect.get(this, 'text') as string)
    for (const piece of this.pieces) to.sendCopyFromChunk(piece)
    to.endCopyFrom()
    to.stream.uncork()
  }

  /** The rows are on their way already. */
  handleCopyInResponse(): void {}
}

function piecesOf(columns: readonly string[], rows: Iterable<readonly unknown[]>): Buffer[] {
  const pieces: Buffer[] = []
  let text = ''
  let index = 0
  for (const row of rows) {
    if (row.length !== columns.length)
      throw new Error(`tx.copy: row ${index} has ${row.length} values for ${columns.length} columns`)
    for (let at = 0; at < row.length; at++) text += (at === 0 ? '' : '\t') + fieldOf(row[at], index, columns[at]!)
    text += '\n'
    index++
    if (text.length >= pieceBytes) {
      pieces.push(Buffer.from(text))
      text = ''
    }
  }
  if (text !== '') pieces.push(Buffer.from(text))
  return pieces
}

/** COPY's text format. https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS */
function fieldOf(value: unknown, row: number, column: string): string {
  if (value === null || value === undefined) return '\\N'
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  const prepared: unknown = typeof value === 'string' ? value : prepareValue(value)
  if (prepared === null) return '\\N'
  if (Buffer.isBuffer(prepared)) return `\\\\x${prepared.toString('hex')}`
  const text = String(prepared)
  if (text.includes('\0') || !isWellFormed(text))
    throw new Error(
      `tx.copy: row ${row}, column ${column}: Postgres can't hold ${text.includes('\0') ? 'U+0000' : 'a lone surrogate'} in a text`,
    )
  return /[\\\n\r\t]/.test(text) ? text.replace(/[\\\n\r\t]/g, (found) => escapes[found]!) : text
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
