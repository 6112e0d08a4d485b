import pg from 'pg'
import type { DatabaseClient, NotedPartition, OffsetFilter } from '../../ports/index.js'
import { answerTimeout, ask } from '../client/ask.js'
import type { PostgresSettings } from '../client/options.js'
import { postgresError } from '../client/pool.js'
import { matching, pickedBy } from './changes.js'

/** pg gives bigints as text. */
type Row = Omit<NotedPartition, 'position' | 'epoch'> & { readonly position: string; readonly epoch: string }

/** The table `consumer_partitions`: where partitions stood when they were last opened, for stores that may lose it. */
export class PostgresPartitions implements Partitions {
  readonly #table: string

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
  ) {
    this.#table = `${pg.escapeIdentifier(settings.schema)}.consumer_partitions`
  }

  async note({ group, stream, partition, position, epoch, replay, identity }: NotedPartition): Promise<void> {
    await this.#query(
      `insert into ${this.#table} as noted ("group", stream, partition, position, epoch, replay, identity)
         values ($1, $2, $3, $4, $5, $6, $7)
       on conflict ("group", stream, partition) do update set position = excluded.position, epoch = excluded.epoch,
         replay = excluded.replay, identity = coalesce(excluded.identity, noted.identity)`,
      [group, stream, partition, String(position), epoch, replay, identity],
    )
  }

  async list(filter: OffsetFilter): Promise<readonly NotedPartition[]> {
    const rows = await this.#query(
      `select "group", stream, partition, position, epoch, replay, identity from ${this.#table}
       where ${matching} order by "group", stream, partition`,
      pickedBy(filter),
    )
    return rows.map(({ position, epoch, ...row }) => ({ ...row, position: BigInt(position), epoch: Number(epoch) }))
  }

  async #query(text: string, values: unknown[]): Promise<Row[]> {
    try {
      return await ask<Row>(this.pool, text, values, { within: answerTimeout })
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}

type Partitions = DatabaseClient['partitions']
