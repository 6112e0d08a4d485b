import type { PartitionKey } from '../../model/partition.js'
import type { ParkedQueues } from '../../ports/index.js'
import { keyArrays, keyColumns, type StatementOfMany } from '../store/gathered-statement.js'

interface ParkedRow extends PartitionKey {
  readonly letters: string
  readonly oldest_ms: string
  readonly queues: readonly string[]
  readonly next_due: string | null
}

const nothing: ParkedQueues = { queues: [], letters: 0, oldestMs: null, nextDue: null }

/** What is set aside of partitions: one probe of an index for each of which nothing is. */
export function parkedStatement(
  letters: string,
): StatementOfMany<{ readonly key: PartitionKey }, ParkedRow, ParkedQueues> {
  const theirs = `${letters} letter where letter."group" = asked."group" and letter.stream = asked.stream and letter.partition = asked.partition`
  return {
    text: `
      select ${keyColumns}, letters, oldest_ms, queues, next_due
      from unnest(${keyArrays}) as asked (${keyColumns})
      cross join lateral (select from ${theirs} and done_at is null limit 1) there
      cross join lateral (
        select sum(letters) as letters, floor(extract(epoch from clock_timestamp() - min(oldest)) * 1000)::bigint as oldest_ms,
          coalesce(json_agg(queue) filter (where queue is not null), '[]') as queues
        from (select queue, count(*) as letters, min(at) as oldest from ${theirs} and done_at is null group by queue) one
      ) counted
      cross join lateral (
        select case when exists (select from ${theirs} and state in ('due', 'leaving')) then 0
          else (select min(due_at) from ${theirs} and state = 'waiting' and due_at is not null) end as next_due
      ) next`,
    columns: () => [],
    answer: (row) =>
      row
        ? {
            queues: row.queues,
            letters: Number(row.letters),
            oldestMs: Number(row.oldest_ms),
            nextDue: row.next_due === null ? null : Number(row.next_due),
          }
        : nothing,
  }
}
