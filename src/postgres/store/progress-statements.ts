import { fenced, positionChanged } from '../../model/fenced.js'
import type { PartitionKey } from '../../model/partition.js'
import { compareTokens, type FencingToken } from '../../model/token.js'
import type { Claimed, Progress, ProgressBeginning } from '../../ports/index.js'
import { keyArrays, keyColumns, type StatementOfMany } from './gathered-statement.js'

/** A row of `consumer_progress`. pg gives bigints as text. */
interface ProgressRow extends PartitionKey {
  readonly position: string
  readonly epoch: string
  readonly batch: string
  readonly attempt: number
  readonly owner: string
  /** -1 where a token was raised before there was a position. */
  readonly replay: number
  readonly identity: string | null
  readonly witness: string | null
}

export function readStatement(
  table: string,
): StatementOfMany<{ readonly key: PartitionKey }, ProgressRow, Progress | null> {
  return {
    text: `
      select ${keyColumns}, position, epoch, batch, attempt, owner, replay, identity, witness
      from ${table} join unnest(${keyArrays}) as asked (${keyColumns}) using (${keyColumns})`,
    columns: () => [],
    answer: (row) => {
      if (!row || row.replay < 0) return null
      const { position, replay, identity, witness } = row
      return { position: BigInt(position), token: tokenOf(row), replay, identity, witness }
    },
  }
}

export interface Beginning {
  readonly key: PartitionKey
  readonly beginning: ProgressBeginning
}

/** A new row belongs to nobody: any claim is newer. So does one whose replay is new: its position may be where an older owner's chunk begins. */
export function beginStatement(table: string): StatementOfMany<Beginning, PartitionKey, void> {
  return {
    text: `
      insert into ${table} as stored
          (${keyColumns}, epoch, batch, attempt, raised, position, replay, replay_from, identity)
        select ${keyColumns}, 0, 0, 0, true, position, replay, position, nullif(identity, '')
        from unnest(${keyArrays}, $4::bigint[], $5::int[], $6::text[])
          as asked (${keyColumns}, position, replay, identity)
        order by ${keyColumns}
      on conflict (${keyColumns}) do update set
        position = case when stored.replay < excluded.replay then excluded.position else stored.position end,
        replay_from = case when stored.replay < excluded.replay then excluded.replay_from else stored.replay_from end,
        witness = case when stored.replay < excluded.replay then null else stored.witness end,
        owner = case when stored.replay < excluded.replay then '' else stored.owner end,
        raised = stored.raised or stored.replay < excluded.replay,
        replay = excluded.replay, identity = excluded.identity, updated_at = now()
      where stored.replay < excluded.replay
        or stored.replay = excluded.replay and stored.identity is null and excluded.identity is not null`,
    columns: ({ beginning: { position, replay, identity } }) => [String(position), replay, identity ?? ''],
    answer: () => {},
  }
}

export interface Claim {
  readonly key: PartitionKey
  readonly token: FencingToken
  readonly replay: number
}

type ClaimRow = ProgressRow & { readonly claimed: boolean }

/** Leaves out what is refused: the others' claims stand. Reads each row as its lock shows it, the newest version. */
export function claimStatement(table: string): StatementOfMany<Claim, ClaimRow, Claimed> {
  return {
    text: `
      with locked as materialized (
        select ${keyColumns}, stored.position, stored.witness, stored.epoch, stored.batch, stored.attempt, stored.owner, stored.replay,
          asked.epoch as new_epoch, asked.batch as new_batch, asked.attempt as new_attempt, asked.owner as new_owner,
          stored.replay = asked.replay and (
            (stored.epoch, stored.batch, stored.attempt) < (asked.epoch, asked.batch, asked.attempt)
            or stored.raised and (stored.epoch, stored.batch, stored.attempt) = (asked.epoch, asked.batch, asked.attempt)
          ) as claimed
        from ${table} stored
          join unnest(${keyArrays}, $4::bigint[], $5::bigint[], $6::int[], $7::text[], $8::int[])
            as asked (${keyColumns}, epoch, batch, attempt, owner, replay) using (${keyColumns})
        order by ${keyColumns} for no key update of stored
      ), taken as (
        update ${table} stored set
          epoch = new_epoch, batch = new_batch, attempt = new_attempt, owner = new_owner, raised = false, updated_at = now()
        from locked
        where locked.claimed and (stored."group", stored.stream, stored.partition)
          = (locked."group", locked.stream, locked.partition)
      )
      select ${keyColumns}, position, witness, epoch, batch, attempt, owner, replay, claimed from locked`,
    columns: ({ token, replay }) => [...columnsOf(token), token.owner ?? '', replay],
    answer: (row, { key, token, replay }) => {
      if (row?.claimed) return { position: BigInt(row.position), witness: row.witness }
      if (row && (compareTokens(tokenOf(row), token) > 0 || row.replay === replay)) return fenced(key, token)
      if (!row || row.replay < 0) return positionChanged(key, 'has no progress any more')
      return positionChanged(key, `has progress of replay ${row.replay}, and this owner expects ${replay}`)
    },
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
        epoch = excluded.epoch, batch = excluded.batch, attempt = excluded.attempt, owner = '', raised = true,
        updated_at = now()
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
  readonly witness: string | undefined
}

/** What the function `advance_progress` does, for partitions that it must not fail together. False: the row is not the writer's. */
export function advanceStatement(table: string): StatementOfMany<Advance, PartitionKey, boolean> {
  return {
    text: `
      with locked as materialized (
        select ${keyColumns}, asked.to_position, asked.new_witness
        from ${table} stored
          join unnest(${keyArrays}, $4::bigint[], $5::bigint[], $6::int[], $7::text[], $8::bigint[], $9::bigint[], $10::text[])
            as asked (${keyColumns}, epoch, batch, attempt, owner, from_position, to_position, new_witness) using (${keyColumns})
        where (stored.epoch, stored.batch, stored.attempt, stored.owner, stored.position)
          = (asked.epoch, asked.batch, asked.attempt, asked.owner, asked.from_position)
        order by ${keyColumns} for no key update of stored
      )
      update ${table} stored set position = locked.to_position, witness = nullif(locked.new_witness, ''), updated_at = now()
      from locked
      where (stored."group", stored.stream, stored.partition) = (locked."group", locked.stream, locked.partition)
      returning stored."group", stored.stream, stored.partition`,
    columns: ({ token, from, to, witness }) => [
      ...columnsOf(token),
      token.owner ?? '',
      String(from),
      String(to),
      witness ?? '',
    ],
    answer: (row) => row !== undefined,
  }
}

function columnsOf({ epoch, batch, attempt }: FencingToken): readonly unknown[] {
  return [epoch, batch, attempt]
}

function tokenOf({ epoch, batch, attempt, owner }: Pick<ProgressRow, keyof FencingToken>): FencingToken {
  return { epoch: Number(epoch), batch: Number(batch), attempt, ...(owner === '' ? {} : { owner }) }
}
