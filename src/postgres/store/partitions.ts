import type pg from 'pg'
import type { PartitionKey } from '../../model/partition.js'
import type { DatabaseClient, NotedPartition, OffsetFilter } from '../../ports/index.js'
import { answerTimeout, ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { postgresError } from '../client/pool.js'
import { matching, pickedBy } from './changes.js'
import { GatheredStatement, keyArrays, keyColumns } from './gathered-statement.js'

/** Bigints are text. */
type Row = Omit<NotedPartition, 'position' | 'epoch'> & { readonly position: string; readonly epoch: string }

/** The table `consumer_partitions`: where partitions stood when they were last opened, for stores that may lose it. */
export class PostgresPartitions implements Partitions {
  readonly #table: string
  readonly #notes: GatheredStatement<{ key: PartitionKey; noted: NotedPartition }, PartitionKey, void>

  /** @param pool for control statements */
  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
  ) {
    this.#table = `${driver.escapeIdentifier(settings.schema)}.consumer_partitions`
    this.#notes = new GatheredStatement(pool, settings, {
      text: `
        insert into ${this.#table} as noted (${keyColumns}, position, epoch, replay, identity)
          select ${keyColumns}, position, epoch, replay, nullif(identity, '')
          from unnest(${keyArrays}, $4::bigint[], $5::bigint[], $6::int[], $7::text[])
            as asked (${keyColumns}, position, epoch, replay, identity)
          order by ${keyColumns}
        on conflict (${keyColumns}) do update set position = excluded.position, epoch = excluded.epoch,
          replay = excluded.replay, identity = coalesce(excluded.identity, noted.identity)`,
      columns: ({ noted: { position, epoch, replay, identity } }) => [String(position), epoch, replay, identity ?? ''],
      answer: () => {},
    })
  }

  note(noted: NotedPartition): Promise<void> {
    return this.#notes.ask({ key: noted, noted })
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
