/** What a message of the bench carries. */
export interface Payload {
  readonly account: string
  readonly amount: number
  /** When the producer sent it, ms since 1970. */
  readonly sent: number
}

/** One batch or chunk as columns, for a single insert of many rows. */
export type Columns = [partition: number, offsets: string[], accounts: string[], amounts: number[], sent: number[]]

/** The statement both contenders run; the effect's time is the database's clock at the moment of the insert. */
export function insertInto(table: string): string {
  return `insert into ${table} (partition, log_offset, account, amount, sent, at)
    select $1, m.*, clock_timestamp() from unnest($2::bigint[], $3::text[], $4::int[], $5::float8[]) m`
}

/** What COPY writes; the column `at` fills itself. */
export const copiedColumns = ['partition', 'log_offset', 'account', 'amount', 'sent'] as const

export function* rowsOf(
  partition: number,
  messages: Iterable<{ readonly offset: bigint; readonly value: Payload }>,
): Iterable<readonly unknown[]> {
  for (const { offset, value } of messages) yield [partition, offset, value.account, value.amount, value.sent]
}

export function columnsOf(
  partition: number,
  messages: Iterable<{ readonly offset: string | bigint; readonly value: Payload }>,
): Columns {
  const columns: Columns = [partition, [], [], [], []]
  for (const { offset, value } of messages) {
    columns[1].push(String(offset))
    columns[2].push(value.account)
    columns[3].push(value.amount)
    columns[4].push(value.sent)
  }
  return columns
}
