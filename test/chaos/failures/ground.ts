import kafkajs from 'kafkajs'
import pg from 'pg'
import { makeTopics } from '../../support/make-topics.js'
import { waitFor } from '../../support/wait-for.js'
import { garbage, type Order } from './natures.js'

const perRequest = 5_000

/** A topic of messages that fail in all ways, what is known of them, and the effects of handling them. Its database may be away for a while. */
export class FailureGround {
  readonly #pool: pg.Pool
  /** Up to where each partition's offsets were found right. */
  readonly #checked = new Map<number, bigint>()

  constructor(
    readonly databaseUrl: string,
    private readonly brokers: readonly string[],
    readonly topic: string,
    readonly orders: readonly Order[],
    readonly partitions: number,
  ) {
    this.#pool = new pg.Pool({ connectionString: databaseUrl, max: 4 })
    this.#pool.on('error', () => {})
  }

  async prepare(): Promise<void> {
    // No unique key: a duplicate effect must show, not be refused.
    await this.ask(`create table effects (seq bigserial, partition int not null, off bigint not null, id int not null, key int not null,
      worker text not null, at timestamptz not null default clock_timestamp())`)
    await this.ask('create index on effects (partition, off)')
    await this.ask('create table messages (id int primary key, partition int, off bigint, key int, nature text)')
    const kafka = new kafkajs.Kafka({ brokers: [...this.brokers], logLevel: kafkajs.logLevel.NOTHING })
    const admin = kafka.admin()
    const producer = kafka.producer({ idempotent: true })
    await Promise.all([admin.connect(), producer.connect()])
    await makeTopics(admin, [{ topic: this.topic, numPartitions: this.partitions }])
    const ends = new Array<number>(this.partitions).fill(0)
    for (let from = 0; from < this.orders.length; from += perRequest) {
      const some = this.orders.slice(from, from + perRequest)
      const messages = some.map((order) => ({
        partition: order.key % this.partitions,
        key: `k${order.key}`,
        value: bytesOf(order),
      }))
      await producer.send({ topic: this.topic, messages })
      await this.ask(
        'insert into messages (id, partition, off, key, nature) select * from unnest($1::int[], $2::int[], $3::bigint[], $4::int[], $5::text[])',
        [
          some.map(({ id }) => id),
          messages.map(({ partition }) => partition),
          messages.map(({ partition }) => ends[partition]!++),
          some.map(({ key }) => key),
          some.map(({ nature }) => nature),
        ],
      )
    }
    await this.ask('create index on messages (partition, off)')
    await this.ask('analyze messages')
    await Promise.all([admin.disconnect(), producer.disconnect()])
  }

  /** Asks again where the database is away. Nothing that writes may be asked of it while it is killed. */
  async ask<T extends object>(text: string, values: unknown[] = []): Promise<T[]> {
    const answer = async () => ({ rows: (await this.#pool.query<T>(text, values)).rows })
    return (await waitFor(answer, { timeout: 120_000, what: 'the database' })).rows
  }

  /** A connection of its own, for what takes a while. */
  async client(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.databaseUrl })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  /** Throws when an offset was committed before all messages up to it had an effect, or were set aside. */
  async checkOffsets(): Promise<void> {
    const known = [...this.#checked]
    // One statement sees one moment. What was right once is not looked at again: effects and letters stay.
    const rows = await this.ask<{ partition: number; from: string; next: string; done: string }>(
      `select o.partition, s."from", o."offset" + 1 as next, (select count(*) from (
         select off from effects where partition = o.partition and off between s."from" and o."offset"
         union select "offset" from tidemark.dead_letters
           where stream = o.stream and partition = o.partition and "offset" between s."from" and o."offset") done) as done
       from tidemark.consumer_offsets o
       cross join lateral (select coalesce(max(f), 0) as "from" from unnest($2::int[], $3::bigint[]) k(p, f) where p = o.partition) s
       where o.stream = $1`,
      [this.topic, known.map(([partition]) => partition), known.map(([, from]) => String(from))],
    )
    for (const { partition, from, next, done } of rows) {
      const missing = BigInt(next) - BigInt(from) - BigInt(done)
      if (missing > 0n)
        throw new Error(
          `partition ${partition}: committed ${next}, but ${missing} messages from ${from} on are not done`,
        )
      this.#checked.set(partition, BigInt(next))
    }
  }

  /** Messages before the committed offsets. */
  async committed(): Promise<number> {
    const [row] = await this.ask<{ n: number }>(
      'select coalesce(sum("offset" + 1), 0)::int n from tidemark.consumer_offsets where stream = $1',
      [this.topic],
    )
    return row!.n
  }

  async effects(): Promise<number> {
    const [row] = await this.ask<{ n: number }>('select count(*)::int n from effects')
    return row!.n
  }

  async openLetters(): Promise<number> {
    const [row] = await this.ask<{ n: number }>(
      'select count(*)::int n from tidemark.dead_letters where stream = $1 and done_at is null',
      [this.topic],
    )
    return row!.n
  }

  /** How far the handlers are in each partition, and where it ends. */
  async progress(): Promise<Map<number, { readonly at: number; readonly end: number }>> {
    const rows = await this.ask<{ partition: number; at: number; end: number }>(
      `select m.partition, count(*)::int as end, coalesce((select position from tidemark.consumer_progress p
         where stream = $1 and p.partition = m.partition), 0)::int as at from messages m group by m.partition`,
      [this.topic],
    )
    return new Map(rows.map(({ partition, at, end }) => [partition, { at, end }]))
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}

function bytesOf(order: Order): Buffer {
  const json = Buffer.from(JSON.stringify(order))
  return order.nature === 'undecodable' ? Buffer.concat([Buffer.from([garbage]), json]) : json
}
