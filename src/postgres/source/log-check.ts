import type pg from 'pg'
import { describePartition, type PartitionKey } from '../../model/partition.js'
import { TruncatedLog } from '../../model/refusals.js'
import { ask } from '../client/ask.js'
import type { Tables } from '../tables/event-tables.js'
import { type EventWitness, eventIn, timeToTheMicrosecond } from './event-witness.js'
import { lookTimeout, type SafePosition } from './safe-position.js'

interface Parts {
  readonly pool: pg.Pool
  readonly tables: Pick<Tables, 'events' | 'streams' | 'logServer'>
  readonly safe: Pick<SafePosition, 'server'>
}

interface Found {
  /** Who answered. */
  readonly server: string
  readonly isReplaced: boolean
}

/**
 * Notices when the log holds another event at the position of the last one that was read: it was restored, or a replica that lagged took
 * over, and others have been appended since. Costs one look-up before a reader's first fetch, and one whenever another server has the log.
 */
export class LogCheck {
  /** The last event that was read. */
  #witness: string | null | undefined
  /** The server whose log that was seen to be; null before the first look. */
  #server: string | null = null

  constructor(
    private readonly parts: Parts,
    private readonly key: PartitionKey,
    witness: string | null | undefined,
  ) {
    this.#witness = witness
  }

  /** Whether this server's log was seen to be the one that was read. */
  covers(server: string): boolean {
    return server === this.#server
  }

  /** Notes the last event that was read. */
  reached(witness: string | undefined): void {
    this.#witness = witness
  }

  /**
   * Asks the server. Where no event is known that it should have, there is nothing to ask.
   *
   * @param position where reading goes on
   * @throws TidemarkError OUT_OF_RANGE
   * @throws Error where the log was the right one before: progress may have been set back with it, and says where to go on
   */
  async look(position: bigint): Promise<void> {
    const event = eventIn(this.#witness)
    if (!event) {
      this.#server = this.parts.safe.server
      return
    }
    const { server, isReplaced } = await lookUp(this.parts, this.key, event)
    if (!isReplaced) this.#server = server
    else if (this.#server === null) throw new TruncatedLog(this.key, position, null)
    else
      throw new Error(
        `${describePartition(this.key)} was set back: another event than the one that was read is at position ${event.position}; ` +
          'reading begins again where the progress is',
      )
  }
}

/**
 * Whether another event has the position of this one. One sequence counts the events of all streams, so the other event may be in any
 * partition; they are looked at only where this one has nothing at the position. The same event elsewhere was moved there. No event at
 * all tells nothing: this one was deleted, or nothing took its position yet.
 */
async function lookUp(
  { pool, tables: { events, streams, logServer } }: Parts,
  { stream, partition }: PartitionKey,
  { position, createdAt }: EventWitness,
): Promise<Found> {
  // The parameter takes the type that the time has on this server.
  const isOther = `${timeToTheMicrosecond('e.created_at')} is distinct from $2`
  const options = { within: lookTimeout }
  const [here] = await ask<{ server: string; isReplaced: boolean | null }>(
    pool,
    `select ${logServer}() as server,
       (select ${isOther} from ${events} e where e.position = $1 and e.stream = $3 and e.partition = $4) as "isReplaced"`,
    [position, createdAt, stream, partition],
    options,
  )
  const { server, isReplaced } = here!
  if (isReplaced !== null) return { server, isReplaced }
  // `offset 0` keeps the planner from joining: by the primary key it is one look-up a partition, without it all events are read.
  const [elsewhere] = await ask<{ isReplaced: boolean | null }>(
    pool,
    `select every(there.other) as "isReplaced" from ${streams} s cross join lateral (
       select ${isOther} as other from ${events} e
       where e.stream = s.stream and e.partition = any(array(select generate_series(0, s.partitions - 1))) and e.position = $1
       offset 0
     ) there`,
    [position, createdAt],
    options,
  )
  return { server, isReplaced: elsewhere!.isReplaced ?? false }
}
