import { isTidemarkError } from '../model/errors.js'
import type { PartitionKey } from '../model/partition.js'
import type { DatabaseClient, HistoryEntry, OffsetChange, OffsetFilter } from '../ports/index.js'
import { LastKnown } from './last-known.js'
import { partitionOf } from './rules.js'

/** The database beside a store that can't keep everything itself, opened with its first use. */
export class Beside {
  readonly known = new LastKnown(() => this.open())
  #database: Promise<DatabaseClient> | null = null

  constructor(private readonly connect: () => Promise<DatabaseClient>) {}

  /** Opening it brings its tables up to date. */
  open(): Promise<DatabaseClient> {
    this.#database ??= this.connect().catch((error) => {
      this.#database = null
      throw error
    })
    return this.#database
  }

  /** Whether it is there. What is wrong with its tables is for `migrate` to say. */
  async check(): Promise<void> {
    await this.open().catch((error) => {
      if (!isTidemarkError(error) || error.code !== 'SCHEMA_TOO_NEW') throw error
    })
  }

  async history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]> {
    return (await this.open()).changes.list(filter)
  }

  /** Another client has put the group's offset somewhere else. */
  async noteForeign(key: PartitionKey, change: Pick<OffsetChange, 'from' | 'to' | 'by' | 'why'>): Promise<void> {
    await (await this.open()).changes.add({ ...partitionOf(key), kind: 'adopted', ...change })
  }

  async close(): Promise<void> {
    const database = await this.#database?.catch(() => null)
    await database?.close()
  }
}
