import pg from 'pg'
import type { PartitionKey } from '../../model/partition.js'
import type {
  CommitOutcome,
  HistoryEntry,
  MirroredOffset,
  NewPosition,
  OffsetFilter,
  OffsetStoreClient,
  StoredOffset,
} from '../../ports/index.js'
import { answerTimeout, ask } from '../client/ask.js'
import type { PostgresSettings } from '../client/options.js'
import { postgresError } from '../client/pool.js'
import { migrate } from '../tables/migrate.js'
import { matching, PostgresChanges, pickedBy } from './changes.js'

interface Row {
  readonly group: string
  readonly stream: string
  readonly partition: number
  /** pg gives bigints as text. */
  readonly offset: string
  readonly epoch: string
  readonly replay: number
  readonly identity: string | null
  readonly updated_at: Date
}

const columns = '"group", stream, partition, "offset", epoch, replay, identity, updated_at'

/** The table `consumer_offsets`. It holds the last processed offset, position - 1, as people expect of such a table. */
export class PostgresOffsets implements OffsetStoreClient {
  readonly #schema: string
  readonly #table: string
  readonly #changes: PostgresChanges

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
    readonly close: () => Promise<void>,
  ) {
    this.#schema = pg.escapeIdentifier(settings.schema)
    this.#table = `${this.#schema}.consumer_offsets`
    this.#changes = new PostgresChanges(pool, settings)
  }

  migrate(): Promise<void> {
    return migrate(this.pool, this.settings.schema)
  }

  async read(group: string, stream: string): Promise<readonly StoredOffset[]> {
    return this.#offsets(
      `select ${columns} from ${this.#table} where "group" = $1 and stream = $2 order by partition`,
      [group, stream],
    )
  }

  async list(filter: OffsetFilter): Promise<readonly StoredOffset[]> {
    return this.#offsets(
      `select ${columns} from ${this.#table} where ${matching} order by "group", stream, partition`,
      pickedBy(filter),
    )
  }

  async open(
    { group, stream, partition }: PartitionKey,
    { above, start, identity = null }: { above: number; start: bigint; identity?: string | null },
  ): Promise<StoredOffset> {
    const [row] = await this.#offsets(
      `insert into ${this.#table} as stored ("group", stream, partition, "offset", epoch, identity)
         values ($1, $2, $3, $4, $5::bigint + 1, $6)
       on conflict ("group", stream, partition)
         do update set epoch = greatest(stored.epoch, $5::bigint) + 1, updated_at = now(),
           identity = coalesce(stored.identity, excluded.identity)
       returning ${columns}`,
      [group, stream, partition, String(start - 1n), above, identity],
    )
    return row!
  }

  async commit(key: PartitionKey, { epoch, position }: { epoch: number; position: bigint }): Promise<CommitOutcome> {
    const { group, stream, partition } = key
    const moved = await this.#offsets(
      `update ${this.#table} set "offset" = $4, updated_at = now()
       where "group" = $1 and stream = $2 and partition = $3 and epoch = $5 and "offset" <= $4
       returning ${columns}`,
      [group, stream, partition, String(position - 1n), epoch],
    )
    if (moved.length > 0) return { outcome: 'committed' }
    const stored = (await this.read(group, stream)).find((row) => row.partition === partition)
    return {
      outcome: 'stale',
      epoch: stored?.epoch ?? 0,
      position: stored?.position ?? 0n,
      replay: stored?.replay ?? 0,
    }
  }

  async reset(
    { group, stream, partition }: PartitionKey,
    { kind, to, by, why, identity = null }: NewPosition,
  ): Promise<StoredOffset> {
    const [row] = await this.#offsets(
      `select ${columns} from ${this.#schema}.change_offset($1, $2, $3, $4, $5, $6, $7, $8)`,
      [group, stream, partition, kind, String(to), by, why, identity],
    )
    return row!
  }

  history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]> {
    return this.#changes.list(filter)
  }

  /** As a mirror of another store: shows what that one has, in the order of its epochs. */
  async assert({ group, stream, partition, position, epoch, replay }: MirroredOffset): Promise<void> {
    await this.#query(
      `insert into ${this.#table} as shown ("group", stream, partition, "offset", epoch, replay)
         values ($1, $2, $3, $4, $5, $6)
       on conflict ("group", stream, partition)
         do update set "offset" = excluded."offset", epoch = excluded.epoch, replay = excluded.replay, updated_at = now()
         where (shown.epoch, shown."offset") <= (excluded.epoch, excluded."offset")`,
      [group, stream, partition, String(position - 1n), epoch, replay],
    )
  }

  async #offsets(text: string, values: unknown[]): Promise<StoredOffset[]> {
    const rows = await this.#query<Row>(text, values)
    return rows.map(({ offset, epoch, updated_at, ...row }) => ({
      ...row,
      position: BigInt(offset) + 1n,
      epoch: Number(epoch),
      updatedAt: updated_at,
    }))
  }

  async #query<R extends object>(text: string, values: unknown[]): Promise<R[]> {
    try {
      return await ask<R>(this.pool, text, values, { within: answerTimeout })
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}
