import type pg from 'pg'
import { TidemarkError } from '../../model/errors.js'
import { describePartition, type PartitionKey } from '../../model/partition.js'
import { ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { Tables } from '../tables/event-tables.js'
import { lookTimeout, type SafePosition } from './safe-position.js'

/** A partition's last position is beyond the last one that the sequence has given. */
export interface Uncounted {
  readonly last: bigint
  readonly taken: bigint
}

type Place = Pick<PartitionKey, 'stream' | 'partition'> & Partial<Pick<PartitionKey, 'group'>>

/**
 * Events whose positions the sequence has not given: rows that were copied or restored without it, or inserted with a position of
 * their own. Nobody reads them, since they are beyond the safe position, and nobody would say why.
 */
export class UncountedEvents {
  /** Partitions that had such events when they were last looked at. */
  readonly #found = new Set<number>()

  constructor(
    private readonly pool: pg.Pool,
    private readonly tables: Pick<Tables, 'events' | 'logServer'>,
    private readonly place: { readonly stream: string; readonly schema: string },
    private readonly safe: SafePosition,
  ) {}

  has(partition: number): boolean {
    return this.#found.has(partition)
  }

  /**
   * Those of the partitions that have such events. One statement; a second one where events are beyond what was known of the sequence:
   * it is asked after the events were seen, and a sequence only grows, so events that are being appended are not among them.
   */
  async look(partitions: readonly number[]): Promise<ReadonlyMap<number, Uncounted>> {
    const { events, logServer } = this.tables
    const rows = await ask<{ partition: number; last: string; server: string }>(
      this.pool,
      `select partition, last, ${logServer}() as server from (
         select p.partition,
           (select max(position) from ${events} e where e.stream = $1 and e.partition = p.partition) as last
         from unnest($2::int[]) p (partition)
       ) ends where last > $3`,
      [this.place.stream, partitions, String(this.safe.taken)],
      { within: lookTimeout },
    )
    const found = new Map<number, Uncounted>()
    if (rows.length > 0) {
      const { taken } = await this.safe.look()
      for (const { partition, last, server } of rows) {
        // Another server has its own events.
        if (server === this.safe.server && BigInt(last) > taken) found.set(partition, { last: BigInt(last), taken })
      }
    }
    for (const partition of partitions) {
      if (found.has(partition)) this.#found.add(partition)
      else this.#found.delete(partition)
    }
    return found
  }

  /** @throws TidemarkError CORRUPT_DATA where the partition has such events, naming what puts the sequence right */
  async refuse(place: Place): Promise<void> {
    const found = (await this.look([place.partition])).get(place.partition)
    if (found) throw sequenceBehind(place, this.place.schema, found)
  }
}

function sequenceBehind(place: Place, schema: string, { last, taken }: Uncounted): TidemarkError {
  const quoted = driver.escapeIdentifier(schema)
  const sequence = driver.escapeLiteral(`${quoted}.events_position_seq`)
  const who = place.group === undefined ? '' : `, group ${place.group}`
  return new TidemarkError(
    'CORRUPT_DATA',
    `${describePartition(place)}${who}: the last event in schema '${schema}' is at position ${last}, but the schema's sequence has given ` +
      `positions up to ${taken} only: rows were restored or copied without the sequence, and new events would get positions among them. ` +
      `Put it right, then resume the partition: select setval(${sequence}, (select greatest(max(position), pg_sequence_last_value(${sequence})) from ${quoted}.events))`,
    { place: { ...place, offset: String(taken + 1n) } },
  )
}
