import { setMaxListeners } from 'node:events'
import type { TidemarkError } from '../../model/errors.js'
import type { StartSpec } from '../../model/start.js'
import type { Bounds, Chunk, ConnectContext, RawMessage, Reader, ReadOptions, SourceClient } from '../../ports/index.js'
import type { Origin } from '../../reading/message.js'
import { Outage } from '../../reading/outage.js'
import { restored } from '../../reading/restored.js'
import { inMs, ownTypes } from '../client/own-types.js'
import { type PooledPostgres, postgresError } from '../client/pool.js'
import { noStream, tablesIn } from '../tables/event-tables.js'
import { Arrivals } from './arrivals.js'
import { Listener } from './listener.js'
import type { PostgresStreamSettings } from './options.js'
import { isSharedByTransactions } from './pooler.js'
import { PostgresReader } from './reader.js'
import { SafePosition } from './safe-position.js'
import { resolveStart } from './start.js'
import { UncountedEvents } from './uncounted-events.js'

/** An event stream in a Postgres, as the worker sees it. An event's offset is its position; positions have gaps. */
export class PostgresStreamClient<V> implements SourceClient<V> {
  /** One sequence counts the events of all partitions. */
  readonly sparse = true
  readonly #closed = new AbortController()
  readonly #tables
  readonly #safe
  readonly #uncounted
  readonly #outage
  readonly #arrivals
  readonly #listener
  #identity: Promise<string> | null = null

  constructor(
    private readonly postgres: PooledPostgres,
    private readonly settings: PostgresStreamSettings<V>,
    channel: string,
    { log }: ConnectContext,
  ) {
    const { stream, schema, pollInterval } = settings
    // Every waiting partition listens to it.
    setMaxListeners(0, this.#closed.signal)
    this.#tables = tablesIn(schema)
    this.#safe = new SafePosition(postgres.pool, this.#tables)
    this.#uncounted = new UncountedEvents(postgres.pool, this.#tables, settings, this.#safe)
    this.#outage = new Outage(log, { stream }, `reading event stream ${stream} from Postgres`)
    this.#arrivals = new Arrivals(
      postgres.pool,
      stream,
      this.#tables.events,
      this.#safe,
      this.#uncounted,
      this.#outage,
      pollInterval,
      this.#closed.signal,
    )
    this.#listener = new Listener(
      settings,
      channel,
      new Outage(log, { stream }, 'listening for new events in Postgres'),
      (payload) => {
        if (payload === undefined || payload === stream) this.#arrivals.hint()
      },
      (client) => isSharedByTransactions(client, postgres.control),
      () =>
        log.warn(
          { stream },
          `Postgres is reached through a pooler that lends connections by transaction (PgBouncer with pool_mode = transaction): notifications don't pass through it, so new events are found by polling every ${pollInterval} ms. ` +
            'Give postgresStream a connection string that leads to Postgres itself, or to a pool with pool_mode = session; or set pollInterval',
        ),
    )
  }

  async partitions(): Promise<readonly number[]> {
    const { stream } = this.settings
    const [row] = await this.#query<{ partitions: number }>(
      `select partitions from ${this.#tables.streams} where stream = $1`,
      [stream],
    )
    if (!row) throw streamNotFound(this.settings)
    return Array.from({ length: row.partitions }, (_, index) => index)
  }

  /** When the stream was created: another time after it was dropped and made again. */
  identity(): Promise<string> {
    // One question for all partitions that are asked about together.
    this.#identity ??= this.#created().finally(() => {
      this.#identity = null
    })
    return this.#identity
  }

  async #created(): Promise<string> {
    const { stream } = this.settings
    const [row] = await this.#query<{ created: string }>(
      `select extract(epoch from created_at)::text as created from ${this.#tables.streams} where stream = $1`,
      [stream],
    )
    if (!row) throw streamNotFound(this.settings)
    return row.created
  }

  async bounds(partitions: readonly number[]): Promise<ReadonlyMap<number, Bounds>> {
    const { events } = this.#tables
    const rows = await this.#query<{ partition: number; first: string | null; last: string | null }>(
      `select p.partition,
         (select min(position) from ${events} e where e.stream = $1 and e.partition = p.partition) as first,
         (select max(position) from ${events} e where e.stream = $1 and e.partition = p.partition) as last
       from unnest($2::int[]) p (partition)`,
      [this.settings.stream, partitions],
    )
    return new Map(
      rows.map(({ partition, first, last }) => [
        partition,
        first === null || last === null ? { first: 0n, head: 0n } : { first: BigInt(first), head: BigInt(last) + 1n },
      ]),
    )
  }

  async firstTimes(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const { events } = this.#tables
    const rows = await this.#query<{ partition: number; time: string | null }>(
      `select p.partition, (
         select ${inMs('created_at')} from ${events} e
         where e.stream = $1 and e.partition = p.partition order by position limit 1
       ) as time
       from unnest($2::int[]) p (partition)`,
      [this.settings.stream, partitions],
    )
    return new Map(rows.flatMap(({ partition, time }) => (time === null ? [] : [[partition, Number(time)] as const])))
  }

  async resolve(partition: number, start: StartSpec): Promise<bigint> {
    // The safe position first: what arrives after it counts as new.
    const { safe } = await this.#safe.look().catch((error) => {
      throw postgresError(error, this.settings)
    })
    const bounds = (await this.bounds([partition])).get(partition)!
    // What counts as new there nobody can say.
    if (start !== 'first' && bounds.head > safe + 1n) await this.#requireCounted(partition)
    const find = (condition: string, value: unknown) =>
      this.#query<{ position: string | null }>(
        condition.replace(':events', `${this.#tables.events} where stream = $1 and partition = $2`),
        [this.settings.stream, partition, value],
      ).then(([row]) => (row?.position ? BigInt(row.position) : null))
    return resolveStart({ stream: this.settings.stream, partition }, start, bounds, safe, find)
  }

  async #requireCounted(partition: number): Promise<void> {
    await this.#uncounted.refuse({ stream: this.settings.stream, partition }).catch((error) => {
      throw postgresError(error, this.settings)
    })
  }

  waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    this.#listen()
    return this.#arrivals.wait(partition, position, signal)
  }

  read(from: bigint, options: ReadOptions): Reader<V> {
    this.#listen()
    return new PostgresReader(
      {
        pool: this.postgres.pool,
        tables: this.#tables,
        settings: this.settings,
        safe: this.#safe,
        uncounted: this.#uncounted,
        arrivals: this.#arrivals,
        outage: this.#outage,
        closed: this.#closed.signal,
      },
      from,
      options,
    )
  }

  restore(raw: RawMessage, origin: Origin): Chunk<V> {
    return restored(raw, origin, this.settings.decoding, 'text')
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await this.#listener.ended()
    await this.postgres.close()
  }

  /** Opens the connection for notifications when somebody needs it first. */
  #listen(): void {
    if (!this.#closed.signal.aborted) this.#listener.start(this.#closed.signal)
  }

  async #query<R extends object>(text: string, values: unknown[]): Promise<R[]> {
    try {
      return (await this.postgres.pool.query<R>({ text, values, types: ownTypes })).rows
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}

export function streamNotFound({ stream, schema }: PostgresStreamSettings): TidemarkError {
  return noStream(stream, schema, "create it with createStream, or give postgresStream the option 'partitions'")
}
