import pg from 'pg'
import type { PartitionKey } from '../../model/partition.js'
import type { CommitOutcome, OffsetStoreClient, StoredOffset } from '../../ports.js'
import { answerTimeout, ask } from '../../postgres/ask.js'
import { migrate } from '../../postgres/migrate.js'
import type { PostgresSettings } from '../../postgres/options.js'
import { postgresError } from '../../postgres/pool.js'

interface Row {
  readonly group: string
  readonly stream: string
  readonly partition: number
  /** pg gives bigints as text. */
  readonly offset: string
  readonly epoch: string
  readonly replay: number
  readonly updated_at: Date
}

const columns = '"group", stream, partition, "offset", epoch, replay, updated_at'

/** The table `consumer_offsets`. It holds the last processed offset, position - 1, as people expect of such a table. */
export class PostgresOffsets implements OffsetStoreClient {
  readonly #table: string

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
    readonly close: () => Promise<void>,
  ) {
    this.#table = `${pg.escapeIdentifier(settings.schema)}.consumer_offsets`
  }

  migrate(): Promise<void> {
    return migrate(this.pool, this.settings.schema)
  }

  async read(group: string, stream: string): Promise<readonly StoredOffset[]> {
    return this.#query(`select ${columns} from ${this.#table} where "group" = $1 and stream = $2 order by partition`, [
      group,
      stream,
    ])
  }

  async open(
    { group, stream, partition }: PartitionKey,
    { above, start }: { above: number; start: bigint },
  ): Promise<StoredOffset> {
    const [row] = await this.#query(
      `insert into ${this.#table} as stored ("group", stream, partition, "offset", epoch) values ($1, $2, $3, $4, $5::bigint + 1)
       on conflict ("group", stream, partition)
         do update set epoch = greatest(stored.epoch, $5::bigint) + 1, updated_at = now()
       returning ${columns}`,
      [group, stream, partition, String(start - 1n), above],
    )
    return row!
  }

  async commit(key: PartitionKey, { epoch, position }: { epoch: number; position: bigint }): Promise<CommitOutcome> {
    const { group, stream, partition } = key
    const moved = await this.#query(
      `update ${this.#table} set "offset" = $4, updated_at = now()
       where "group" = $1 and stream = $2 and partition = $3 and epoch = $5 and "offset" <= $4
       returning ${columns}`,
      [group, stream, partition, String(position - 1n), epoch],
    )
    if (moved.length > 0) return { outcome: 'committed' }
    const stored = (await this.read(group, stream)).find((row) => row.partition === partition)
    return { outcome: 'stale', epoch: stored?.epoch ?? 0, position: stored?.position ?? 0n }
  }

  async #query(text: string, values: unknown[]): Promise<StoredOffset[]> {
    try {
      const rows = await ask<Row>(this.pool, text, values, { within: answerTimeout })
      return rows.map(({ offset, epoch, updated_at, ...row }) => ({
        ...row,
        position: BigInt(offset) + 1n,
        epoch: Number(epoch),
        updatedAt: updated_at,
      }))
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}
