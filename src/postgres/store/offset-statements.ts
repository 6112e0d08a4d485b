import type { PartitionKey } from '../../model/partition.js'
import type { CommitOutcome, StoredOffset } from '../../ports/index.js'
import { stale } from '../../storing/rules.js'
import { inMs, timeOf } from '../client/own-types.js'
import { keyArrays, keyColumns, type StatementOfMany } from './gathered-statement.js'

/** A row of `consumer_offsets`. */
export interface OffsetRow extends PartitionKey {
  /** Bigints are text. */
  readonly offset: string
  readonly epoch: string
  readonly replay: number
  readonly identity: string | null
  /** Ms since 1970. */
  readonly updated_ms: string | null
}

export const offsetColumns = `${keyColumns}, "offset", epoch, replay, identity, ${inMs('updated_at')} as updated_ms`

export function offsetOf({ offset, epoch, updated_ms, ...row }: OffsetRow): StoredOffset {
  return { ...row, position: BigInt(offset) + 1n, epoch: Number(epoch), updatedAt: timeOf(updated_ms) }
}

export interface OffsetOpening {
  readonly key: PartitionKey
  readonly above: number
  readonly start: bigint
  readonly replay: number
  readonly identity: string | null
}

export function openStatement(table: string): StatementOfMany<OffsetOpening, OffsetRow, StoredOffset> {
  return {
    text: `
      insert into ${table} as stored (${keyColumns}, "offset", epoch, replay, identity)
        select ${keyColumns}, "offset", above + 1, replay, nullif(identity, '')
        from unnest(${keyArrays}, $4::bigint[], $5::bigint[], $6::int[], $7::text[])
          as asked (${keyColumns}, "offset", above, replay, identity)
        order by ${keyColumns}
      on conflict (${keyColumns})
        do update set epoch = greatest(stored.epoch + 1, excluded.epoch), updated_at = now(),
          identity = coalesce(stored.identity, excluded.identity)
      returning ${offsetColumns}`,
    columns: ({ above, start, replay, identity }) => [String(start - 1n), above, replay, identity ?? ''],
    answer: (row) => offsetOf(row!),
  }
}

export interface OffsetCommit {
  readonly key: PartitionKey
  readonly epoch: number
  readonly position: bigint
}

export type CommitRow = Pick<OffsetRow, keyof PartitionKey | 'offset' | 'epoch' | 'replay'> & {
  readonly committed: boolean
}

/** Reads each row as its lock shows it, the newest version: a refused commit learns from it who owns the partition. */
export function commitStatement(table: string): StatementOfMany<OffsetCommit, CommitRow, CommitOutcome> {
  return {
    text: `
      with locked as materialized (
        select ${keyColumns}, stored."offset", stored.epoch, stored.replay, asked."offset" as new_offset,
          stored.epoch = asked.epoch and stored."offset" <= asked."offset" as committed
        from ${table} stored join unnest(${keyArrays}, $4::bigint[], $5::bigint[])
          as asked (${keyColumns}, "offset", epoch) using (${keyColumns})
        order by ${keyColumns} for no key update of stored
      ), moved as (
        update ${table} stored set "offset" = locked.new_offset, updated_at = now() from locked
        where locked.committed and (stored."group", stored.stream, stored.partition)
          = (locked."group", locked.stream, locked.partition)
      )
      select ${keyColumns}, "offset", epoch, replay, committed from locked`,
    columns: ({ epoch, position }) => [String(position - 1n), epoch],
    answer: (row) => {
      if (row?.committed) return { outcome: 'committed' }
      return stale(row && { position: BigInt(row.offset) + 1n, epoch: Number(row.epoch), replay: row.replay })
    },
  }
}
