import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import pg from 'pg'
import { makeTopics } from '../../support/make-topics.js'
import { waitFor } from '../../support/wait-for.js'

/** The most messages a handler gets at once. */
export const chunkSize = 50
/** How long a batch stays open as a rule. */
export const batchMs = 10_000
export const slices = 2
export const consumers = ['exact', 'plain'] as const
export type Consumer = (typeof consumers)[number]
export const partitions = [0, 1, 2, 3] as const

/** What has become of the messages of one consumer. */
export interface Tally {
  readonly consumer: string
  readonly lost: number
  /** Effects that were there already. */
  readonly repeated: number
  /** The most of them in one partition. */
  readonly mostRepeated: number
}

/** A topic that messages go to all the time, and the effects of handling them. */
export class LiveGround {
  readonly #pool: pg.Pool
  readonly #producer: kafkajs.Producer
  readonly #over = new AbortController()
  #producing: Promise<void> | undefined
  /** Messages in each partition. */
  #written = 0

  private constructor(
    databaseUrl: string,
    brokers: readonly string[],
    readonly topic: string,
  ) {
    this.#pool = new pg.Pool({ connectionString: databaseUrl, max: 4 })
    // Its database is dropped where a test fails.
    this.#pool.on('error', () => {})
    this.#producer = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).producer()
  }

  static async on(databaseUrl: string, brokers: readonly string[], topic: string): Promise<LiveGround> {
    const ground = new LiveGround(databaseUrl, brokers, topic)
    await ground.#pool.query(`create table effects (consumer text not null, partition int not null, off bigint not null,
      worker text not null, at timestamptz not null default clock_timestamp())`)
    await ground.#pool.query('create index on effects (consumer, partition, at)')
    const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    await makeTopics(admin, [{ topic, numPartitions: partitions.length }])
    await admin.disconnect()
    await ground.#producer.connect()
    return ground
  }

  /** Writes messages to all partitions, until `settled` or `close`. */
  produce(everyMs = 100, perPartition = 10): void {
    this.#producing ??= (async () => {
      while (!this.#over.signal.aborted) {
        const messages = partitions.flatMap((partition) =>
          Array.from({ length: perPartition }, (_, i) => ({ partition, value: String(this.#written + i) })),
        )
        await this.#producer.send({ topic: this.topic, messages })
        this.#written += perPartition
        await sleep(everyMs)
      }
    })()
  }

  /** Every partition of every consumer has had an effect since then, by one of these workers. */
  async moved(since: Date, workers?: readonly string[]): Promise<boolean> {
    const { rows } = await this.#pool.query<{ n: number }>(
      `select count(distinct (consumer, partition))::int n from effects where at > $1 and ($2::text[] is null or worker = any($2))`,
      [since, workers ?? null],
    )
    return rows[0]!.n === partitions.length * consumers.length
  }

  /** How many partitions each worker has handled messages of since then. */
  async heldSince(since: Date): Promise<Map<string, number>> {
    const { rows } = await this.#pool.query<{ worker: string; n: number }>(
      `select worker, count(distinct (consumer, partition))::int n from effects where at > $1 group by worker`,
      [since],
    )
    return new Map(rows.map(({ worker, n }) => [worker, n]))
  }

  /** The longest time that any partition had no effect between two moments, ms. */
  async longestPauseMs(from: Date, to: Date): Promise<number> {
    const { rows } = await this.#pool.query<{ ms: number }>(
      `with moments as (
         select consumer, partition, at from effects where at between $1 and $2
         union all select c, p, edge from unnest($3::text[]) c, unnest($4::int[]) p, (values ($1), ($2)) e(edge))
       select 1000 * max(extract(epoch from gap))::float8 as ms from
         (select at - lag(at) over (partition by consumer, partition order by at) as gap from moments) gaps`,
      [from, to, consumers, partitions],
    )
    return Math.round(rows[0]!.ms)
  }

  /** Effects of these partitions since then, by the worker's name. */
  async effectsSince(since: Date, consumer: string, which: readonly number[]): Promise<string[]> {
    const { rows } = await this.#pool.query<{ worker: string }>(
      'select worker from effects where at > $1 and consumer = $2 and partition = any($3)',
      [since, consumer, which],
    )
    return rows.map(({ worker }) => worker)
  }

  /** The committed positions of all partitions of all consumers, in sum. */
  async committed(): Promise<number> {
    const { rows } = await this.#pool.query<{ n: string }>(
      'select coalesce(sum("offset" + 1), 0) n from tidemark.consumer_offsets where stream = $1',
      [this.topic],
    )
    return Number(rows[0]!.n)
  }

  async #uncommitted(): Promise<string[]> {
    const { rows } = await this.#pool.query<{ group: string; partition: number; offset: string; handled: string }>(
      `select o."group", o.partition, o."offset", (select max(off) + 1 from effects e where e.consumer = o."group" and e.partition = o.partition) handled
       from tidemark.consumer_offsets o where stream = $1 and "offset" + 1 < $2 order by 1, 2`,
      [this.topic, this.#written],
    )
    return rows.map((row) => `${row.group}[${row.partition}] is committed to ${row.offset}, handled to ${row.handled}`)
  }

  /**
   * Writes no more, waits until everything is committed, and counts.
   *
   * @param explain says more where it takes too long
   */
  async settled(timeout: number, explain?: () => Promise<string>): Promise<Tally[]> {
    this.#over.abort()
    await this.#producing
    await waitFor(
      async () => {
        const behind = await this.#uncommitted()
        if (behind.length === 0) return true
        throw new Error(`${behind.join(', ')}${explain ? `; ${await explain()}` : ''}`)
      },
      { timeout, what: `${this.#written} messages of each partition to be committed` },
    )
    const { rows } = await this.#pool.query<{ consumer: string; n: number; repeated: number; most: number }>(
      `select consumer, sum(n)::int n, sum(repeated)::int repeated, max(repeated)::int most from
         (select consumer, partition, count(distinct off)::int n, (count(*) - count(distinct off))::int repeated
          from effects group by consumer, partition) each
       group by consumer order by consumer`,
    )
    return rows.map(({ consumer, n, repeated, most }) => ({
      consumer,
      lost: this.#written * partitions.length - n,
      repeated,
      mostRepeated: most,
    }))
  }

  async close(): Promise<void> {
    this.#over.abort()
    await this.#producing?.catch(() => {})
    await this.#producer.disconnect()
    await this.#pool.end()
  }
}
