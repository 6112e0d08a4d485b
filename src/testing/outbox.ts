import type { ParsedConfig } from '../config/parse.js'
import { headersOf } from '../postgres/source/decode.js'
import { tablesIn } from '../postgres/tables/event-tables.js'
import type { TestDatabase } from './database.js'
import type { TestPlace, TestStream } from './messages.js'

interface Row {
  readonly position: string
  readonly stream: string
  readonly partition: number
  readonly key: string | null
  readonly type: string | null
  readonly data: string
  readonly headers: string | null
}

/** Takes the events that handlers append to a Postgres stream of the config, once they are committed, to the stream in memory that stands for it. */
export class Outbox {
  readonly #seen = new Set<string>()
  #last: Promise<unknown> = Promise.resolve()

  private constructor(
    private readonly database: TestDatabase,
    private readonly streams: ReadonlyMap<string, TestStream>,
  ) {}

  /** Makes the config's Postgres streams in the kit's database. Undefined where the config has none. */
  static async open(
    { consumers }: ParsedConfig,
    database: TestDatabase,
    streams: ReadonlyMap<string, TestStream>,
  ): Promise<Outbox | undefined> {
    const own = consumers.filter(({ source }) => source.kind === 'postgres').map(({ settings }) => settings.stream)
    if (own.length === 0) return undefined
    const read = new Map(own.map((stream) => [stream, streams.get(stream)!]))
    const partitions = [...read.values()].map(({ log }) => log.partitions.length)
    // One that the test's setup has made stays as it is.
    await database.query(
      `insert into ${tablesIn(database.schema).streams} (stream, partitions)
       select * from unnest($1::text[], $2::int[]) on conflict do nothing`,
      [[...read.keys()], partitions],
    )
    return new Outbox(database, read)
  }

  /** Appends what has been committed since the last time. Returns where it is. */
  take(now: () => Promise<number>): Promise<TestPlace[]> {
    const taken = this.#last.then(() => this.#take(now))
    this.#last = taken.catch(() => {})
    return taken
  }

  async #take(now: () => Promise<number>): Promise<TestPlace[]> {
    // Positions are not in the order of commits.
    const rows = (await this.database.query(
      `select position::text, stream, partition, key, type, data::text, headers::text from ${tablesIn(this.database.schema).events}
       where stream = any($1::text[]) and position <> all($2::bigint[]) order by events.position`,
      [[...this.streams.keys()], [...this.#seen]],
    )) as Row[]
    if (rows.length === 0) return []
    const timestamp = await now()
    return rows.map((row) => {
      this.#seen.add(row.position)
      const stream = this.streams.get(row.stream)!
      const key = row.key === null ? null : Buffer.from(row.key)
      const record = { key, value: Buffer.from(row.data), headers: headersOf(row), timestamp }
      return stream.put(row.partition % stream.log.partitions.length, record)
    })
  }
}
