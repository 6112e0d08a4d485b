import pg from 'pg'
import type { DatabaseClient, NotedPartition, OffsetFilter } from '../../ports.js'
import { answerTimeout, ask } from '../../postgres/ask.js'
import type { PostgresSettings } from '../../postgres/options.js'
import { postgresError } from '../../postgres/pool.js'
import { matching, pickedBy } from './changes.js'

/** The table `consumer_partitions`: what there are positions for in a store that can't say so itself. */
export class PostgresPartitions implements Partitions {
  readonly #table: string

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
  ) {
    this.#table = `${pg.escapeIdentifier(settings.schema)}.consumer_partitions`
  }

  async note({ group, stream, partition, identity }: NotedPartition): Promise<void> {
    await this.#query(
      `insert into ${this.#table} as noted ("group", stream, partition, identity) values ($1, $2, $3, $4)
       on conflict ("group", stream, partition) do update set identity = coalesce(excluded.identity, noted.identity)`,
      [group, stream, partition, identity],
    )
  }

  list(filter: OffsetFilter): Promise<readonly NotedPartition[]> {
    return this.#query(
      `select "group", stream, partition, identity from ${this.#table} where ${matching} order by 1, 2, 3`,
      pickedBy(filter),
    )
  }

  async #query(text: string, values: unknown[]): Promise<NotedPartition[]> {
    try {
      return await ask<NotedPartition>(this.pool, text, values, { within: answerTimeout })
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}

type Partitions = DatabaseClient['partitions']
