import kafkajs from 'kafkajs'
import pg from 'pg'
import { makeTopics } from '../support/make-topics.js'
import { waitFor } from '../support/wait-for.js'

/** Addresses of the parts that a chaos run uses. */
export interface Parts {
  readonly databaseUrl: string
  /** The offset store's database, where it is not the one of the effects. */
  readonly storeUrl?: string
  readonly brokers: readonly string[]
  readonly temporal: { readonly address: string; readonly namespace: string }
}

/** What has become of the messages. */
export interface Verdict {
  readonly messages: number
  readonly effects: number
  readonly lost: number
  readonly duplicates: number
  readonly committed: number
}

const perRequest = 2_000

/** The ground a run is fought on: a topic full of messages, and a table for the effects of handling them. */
export class Ground {
  readonly pool: pg.Pool
  readonly #store: pg.Pool

  constructor(
    readonly parts: Parts,
    readonly topic: string,
    readonly messages: number,
    readonly partitions: number,
  ) {
    this.pool = new pg.Pool({ connectionString: parts.databaseUrl, max: 4 })
    this.#store = parts.storeUrl === undefined ? this.pool : new pg.Pool({ connectionString: parts.storeUrl, max: 1 })
    // Its database is dropped where a test fails, or its server killed.
    for (const pool of [this.pool, this.#store]) pool.on('error', () => {})
  }

  async prepare(): Promise<void> {
    // No unique key: a duplicate effect must show, not be refused.
    await this.pool.query(`create table if not exists effects (
      partition int not null, off bigint not null, id int not null, worker text not null, replay int not null,
      at timestamptz not null default clock_timestamp())`)
    await this.pool.query('create index if not exists effects_by_offset on effects (partition, off)')
    const kafka = new kafkajs.Kafka({ brokers: [...this.parts.brokers], logLevel: kafkajs.logLevel.NOTHING })
    const admin = kafka.admin()
    const producer = kafka.producer({ idempotent: true })
    await Promise.all([admin.connect(), producer.connect()])
    await makeTopics(admin, [{ topic: this.topic, numPartitions: this.partitions }])
    for (let from = 0; from < this.messages; from += perRequest) {
      const count = Math.min(perRequest, this.messages - from)
      const messages = Array.from({ length: count }, (_, i) => ({
        partition: (from + i) % this.partitions,
        value: JSON.stringify({ id: from + i, pad: 'x'.repeat(170) }),
      }))
      await producer.send({ topic: this.topic, messages })
    }
    await Promise.all([admin.disconnect(), producer.disconnect()])
  }

  async effects(): Promise<number> {
    const { rows } = await this.pool.query<{ n: number }>('select count(*)::int n from effects')
    return rows[0]!.n
  }

  /** Throws when an offset was committed before all effects up to it were there. */
  async checkOffsets(): Promise<void> {
    // One statement sees one moment.
    const { rows } = await this.pool.query<{ partition: number; committed: string; done: string }>(
      `select o.partition, o."offset" + 1 as committed,
         (select count(distinct e.off) from effects e where e.partition = o.partition and e.off <= o."offset") as done
       from tidemark.consumer_offsets o where o.stream = $1`,
      [this.topic],
    )
    for (const { partition, committed, done } of rows)
      if (BigInt(committed) > BigInt(done))
        throw new Error(`partition ${partition}: committed ${committed}, but only ${done} effects`)
  }

  async finished(timeout: number): Promise<void> {
    await waitFor(async () => (await this.effects()) >= this.messages, { timeout, what: `${this.messages} effects` })
    await waitFor(async () => (await this.committed()) >= this.messages, {
      timeout: 60_000,
      what: 'all offsets to be committed',
    })
  }

  async committed(): Promise<number> {
    const { rows } = await this.#store.query<{ n: string }>(
      `select coalesce(sum("offset" + 1), 0) n from tidemark.consumer_offsets where stream = $1`,
      [this.topic],
    )
    return Number(rows[0]!.n)
  }

  /** How often a position was put back to where the effects are. */
  async restored(): Promise<number> {
    const { rows } = await this.#store.query<{ n: number }>(
      `select count(*)::int n from tidemark.consumer_changes where stream = $1 and kind = 'restored'`,
      [this.topic],
    )
    return rows[0]!.n
  }

  async verdict(): Promise<Verdict> {
    const { rows } = await this.pool.query<{ effects: number; distinct: number }>(
      'select count(*)::int effects, count(distinct id)::int as distinct from effects',
    )
    const { effects, distinct } = rows[0]!
    return {
      messages: this.messages,
      effects,
      lost: this.messages - distinct,
      duplicates: effects - distinct,
      committed: await this.committed(),
    }
  }

  /** Effects that came before one of an earlier message of their partition. */
  async disorder(): Promise<number> {
    const { rows } = await this.pool.query<{ n: number }>(
      `select count(*)::int n from
         (select off, max(off) over (partition by partition order by at, off rows unbounded preceding) as furthest from effects) seen
       where off < furthest`,
    )
    return rows[0]!.n
  }

  /** Partitions whose last effect before `at` (ms since 1970) is this worker's: the ones it was working then. */
  async heldBy(worker: string): Promise<number[]> {
    const { rows } = await this.pool.query<{ partition: number; worker: string }>(
      'select distinct on (partition) partition, worker from effects order by partition, off desc',
    )
    return rows.filter((row) => row.worker === worker).map(({ partition }) => partition)
  }

  /** How many partitions have had an effect since then, or are done. */
  async movedSince(since: Date): Promise<number> {
    const { rows } = await this.pool.query<{ n: number }>(
      'select count(*)::int n from (select partition from effects group by partition having max(at) > $1 or count(*) >= $2) moved',
      [since, Math.floor(this.messages / this.partitions)],
    )
    return rows[0]!.n
  }

  /** How long each partition had no effects after a moment: ms until the first effect by somebody else. */
  async takenOver(partitions: readonly number[], worker: string, after: Date): Promise<number[]> {
    const { rows } = await this.pool.query<{ ms: number | null }>(
      `select (select extract(epoch from min(at) - $3)::float8 * 1000 from effects
         where partition = p and at > $3 and worker <> $2) as ms
       from unnest($1::int[]) as p`,
      [partitions, worker, after],
    )
    return rows.filter(({ ms }) => ms !== null).map(({ ms }) => Math.round(ms!))
  }

  async close(): Promise<void> {
    await this.pool.end()
    if (this.#store !== this.pool) await this.#store.end()
  }
}
