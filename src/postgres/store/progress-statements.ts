import { fenced } from '../../model/fenced.js'
import type { PartitionKey } from '../../model/partition.js'
import type { FencingToken } from '../../model/token.js'
import type { Progress } from '../../ports/index.js'
import { keyArrays, keyColumns, type StatementOfMany } from './gathered-statement.js'

/** A row of `consumer_progress`. pg gives bigints as text. */
interface ProgressRow extends PartitionKey {
  readonly position: string
  readonly epoch: string
  readonly batch: string
  readonly attempt: number
  /** -1 where a token was raised before there was a position. */
  readonly replay: number
}

export function readStatement(
  table: string,
): StatementOfMany<{ readonly key: PartitionKey }, ProgressRow, Progress | null> {
  return {
    text: `
      select ${keyColumns}, position, epoch, batch, attempt, replay
      from ${table} join unnest(${keyArrays}) as asked (${keyColumns}) using (${keyColumns})`,
    columns: () => [],
    answer: (row) => {
      if (!row || row.replay < 0) return null
      const token = { epoch: Number(row.epoch), batch: Number(row.batch), attempt: row.attempt }
      return { position: BigInt(row.position), token, replay: row.replay }
    },
  }
}

export interface Claim {
  readonly key: PartitionKey
  readonly token: FencingToken
  readonly from: bigint
  readonly replay: number
}

type ClaimRow = Pick<ProgressRow, keyof PartitionKey | 'position'>

/** Leaves out what is refused: the others' claims stand. */
export function claimStatement(table: string): StatementOfMany<Claim, ClaimRow, bigint> {
  return {
    text: `
      insert into ${table} as stored (${keyColumns}, epoch, batch, attempt, position, replay, replay_from)
        select ${keyColumns}, epoch, batch, attempt, position, replay, position
        from unnest(${keyArrays}, $4::bigint[], $5::bigint[], $6::int[], $7::bigint[], $8::int[])
          as asked (${keyColumns}, epoch, batch, attempt, position, replay)
        order by ${keyColumns}
      on conflict (${keyColumns}) do update set
        epoch = excluded.epoch, batch = excluded.batch, attempt = excluded.attempt, raised = false, updated_at = now(),
        position = case when stored.replay < excluded.replay then excluded.position else stored.position end,
        replay_from = case when stored.replay < excluded.replay then excluded.replay_from else stored.replay_from end,
        replay = greatest(stored.replay, excluded.replay)
      where (stored.epoch, stored.batch, stored.attempt) < (excluded.epoch, excluded.batch, excluded.attempt)
        or stored.raised
          and (stored.epoch, stored.batch, stored.attempt) = (excluded.epoch, excluded.batch, excluded.attempt)
      returning ${keyColumns}, position`,
    columns: ({ token, from, replay }) => [...columnsOf(token), String(from), replay],
    answer: (row, { key, token }) => (row ? BigInt(row.position) : fenced(key, token)),
  }
}

export interface Raise {
  readonly key: PartitionKey
  readonly token: FencingToken
}

/** Leaves a row also where there is none, for a writer that claims later. Its replay is older than any, so any claim brings its own position. */
export function raiseStatement(table: string): StatementOfMany<Raise, PartitionKey, void> {
  return {
    text: `
      insert into ${table} as stored (${keyColumns}, epoch, batch, attempt, position, replay, raised)
        select ${keyColumns}, epoch, batch, attempt, 0, -1, true
        from unnest(${keyArrays}, $4::bigint[], $5::bigint[], $6::int[]) as asked (${keyColumns}, epoch, batch, attempt)
        order by ${keyColumns}
      on conflict (${keyColumns}) do update set
        epoch = excluded.epoch, batch = excluded.batch, attempt = excluded.attempt, raised = true, updated_at = now()
      where (stored.epoch, stored.batch, stored.attempt) < (excluded.epoch, excluded.batch, excluded.attempt)`,
    columns: ({ token }) => columnsOf(token),
    answer: () => {},
  }
}

export interface Advance {
  readonly key: PartitionKey
  readonly token: FencingToken
  readonly from: bigint
  readonly to: bigint
}

/** What the function `advance_progress` does, for partitions that it must not fail together. */
export function advanceStatement(table: string): StatementOfMany<Advance, PartitionKey, void> {
  return {
    text: `
      with locked as materialized (
        select ${keyColumns}, asked.to_position
        from ${table} stored
          join unnest(${keyArrays}, $4::bigint[], $5::bigint[], $6::int[], $7::bigint[], $8::bigint[])
            as asked (${keyColumns}, epoch, batch, attempt, from_position, to_position) using (${keyColumns})
        where (stored.epoch, stored.batch, stored.attempt, stored.position)
          = (asked.epoch, asked.batch, asked.attempt, asked.from_position)
        order by ${keyColumns} for no key update of stored
      )
      update ${table} stored set position = locked.to_position, updated_at = now() from locked
      where (stored."group", stored.stream, stored.partition) = (locked."group", locked.stream, locked.partition)
      returning stored."group", stored.stream, stored.partition`,
    columns: ({ token, from, to }) => [...columnsOf(token), String(from), String(to)],
    answer: (row, { key, token }) => (row ? undefined : fenced(key, token)),
  }
}

function columnsOf({ epoch, batch, attempt }: FencingToken): readonly unknown[] {
  return [epoch, batch, attempt]
}
