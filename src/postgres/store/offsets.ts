import type pg from 'pg'
import type { GroupName, PartitionKey } from '../../model/partition.js'
import type {
  CommitOutcome,
  HistoryEntry,
  MirroredOffset,
  NewPosition,
  OffsetBeginning,
  OffsetFilter,
  OffsetStoreClient,
  SeenOffset,
  StoredOffset,
} from '../../ports/index.js'
import { Gather } from '../../storing/gather.js'
import { answerTimeout, ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { controlConnections, postgresError } from '../client/pool.js'
import { migrate } from '../tables/migrate.js'
import { matching, PostgresChanges, pickedBy } from './changes.js'
import { GatheredStatement } from './gathered-statement.js'
import {
  type CommitRow,
  commitStatement,
  type OffsetCommit,
  type OffsetOpening,
  type OffsetRow,
  offsetColumns,
  offsetOf,
  openStatement,
} from './offset-statements.js'

/** The table `consumer_offsets`. It holds the last processed offset, position - 1, as people expect of such a table. */
export class PostgresOffsets implements OffsetStoreClient {
  readonly #schema: string
  readonly #table: string
  readonly #changes: PostgresChanges
  readonly #reads: Gather<GroupName, readonly StoredOffset[]>
  readonly #openings: GatheredStatement<OffsetOpening, OffsetRow, StoredOffset>
  readonly #commits: GatheredStatement<OffsetCommit, CommitRow, CommitOutcome>

  /** @param pool for control statements */
  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
    readonly close: () => Promise<void>,
  ) {
    this.#schema = driver.escapeIdentifier(settings.schema)
    this.#table = `${this.#schema}.consumer_offsets`
    this.#changes = new PostgresChanges(pool, settings)
    this.#reads = new Gather((names) => this.#readAll(names), { atOnce: controlConnections })
    this.#openings = new GatheredStatement(pool, settings, openStatement(this.#table))
    this.#commits = new GatheredStatement(pool, settings, commitStatement(this.#table))
  }

  migrate(): Promise<void> {
    return migrate(this.pool, this.settings.schema)
  }

  read(group: string, stream: string): Promise<readonly StoredOffset[]> {
    return this.#reads.ask({ group, stream })
  }

  async list(filter: OffsetFilter): Promise<readonly StoredOffset[]> {
    return this.#offsets(
      `select ${offsetColumns} from ${this.#table} where ${matching} order by "group", stream, partition`,
      pickedBy(filter),
    )
  }

  open(key: PartitionKey, { above, start, replay = 0, identity = null }: OffsetBeginning): Promise<StoredOffset> {
    return this.#openings.ask({ key, above, start, replay, identity })
  }

  commit(key: PartitionKey, { epoch, position }: { epoch: number; position: bigint }): Promise<CommitOutcome> {
    return this.#commits.ask({ key, epoch, position })
  }

  async reset(key: PartitionKey, change: NewPosition): Promise<StoredOffset> {
    return (await this.#reset(key, change))!
  }

  resetIf(key: PartitionKey, seen: SeenOffset, change: NewPosition): Promise<StoredOffset | null> {
    return this.#reset(key, change, seen)
  }

  async #reset(
    { group, stream, partition }: PartitionKey,
    { kind, to, by, why, identity = null, replayAbove = 0, replay: named }: NewPosition,
    { epoch, replay }: Partial<SeenOffset> = {},
  ): Promise<StoredOffset | null> {
    const [row] = await this.#offsets(
      `select ${offsetColumns} from ${this.#schema}.change_offset($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      [
        group,
        stream,
        partition,
        kind,
        String(to),
        by,
        why,
        identity,
        replayAbove,
        named ?? null,
        epoch ?? null,
        replay ?? null,
      ],
    )
    return row ?? null
  }

  history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]> {
    return this.#changes.list(filter)
  }

  /** As a mirror of another store: shows what that one has, in the order of its epochs. */
  async assert({ group, stream, partition, position, epoch, replay }: MirroredOffset): Promise<null> {
    await this.#query(
      `insert into ${this.#table} as shown ("group", stream, partition, "offset", epoch, replay)
         values ($1, $2, $3, $4, $5, $6)
       on conflict ("group", stream, partition)
         do update set "offset" = excluded."offset", epoch = excluded.epoch, replay = excluded.replay, updated_at = now()
         where (shown.epoch, shown."offset") <= (excluded.epoch, excluded."offset")`,
      [group, stream, partition, String(position - 1n), epoch, replay],
    )
    return null
  }

  async delete(group: string, stream: string): Promise<void> {
    await this.#query(`delete from ${this.#table} where "group" = $1 and stream = $2`, [group, stream])
  }

  /** What is stored of groups, each in the order of its partitions. Whoever asks for the same group gets the same answer. */
  async #readAll(names: readonly GroupName[]): Promise<readonly (readonly StoredOffset[])[]> {
    const asked = new Map(names.map((name) => [nameOf(name), { name, rows: [] as StoredOffset[] }]))
    const different = [...asked.values()].map(({ name }) => name)
    const rows = await this.#offsets(
      `select ${offsetColumns} from ${this.#table} join unnest($1::text[], $2::text[]) as asked ("group", stream)
         using ("group", stream) order by partition`,
      [different.map(({ group }) => group), different.map(({ stream }) => stream)],
    )
    for (const row of rows) asked.get(nameOf(row))!.rows.push(row)
    return names.map((name) => asked.get(nameOf(name))!.rows)
  }

  async #offsets(text: string, values: unknown[]): Promise<StoredOffset[]> {
    return (await this.#query<OffsetRow>(text, values)).map(offsetOf)
  }

  async #query<R extends object>(text: string, values: unknown[]): Promise<R[]> {
    try {
      return await ask<R>(this.pool, text, values, { within: answerTimeout })
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}

function nameOf({ group, stream }: GroupName): string {
  return JSON.stringify([group, stream])
}
