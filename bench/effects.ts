import { randomBytes } from 'node:crypto'
import pg from 'pg'

export interface Tally {
  /** Messages without an effect. */
  readonly lost: number
  /** Effects beyond the first of a message. */
  readonly duplicates: number
}

/**
 * The database that both contenders write to: new for each bench, one table for each run. The table has no key, which would
 * cost time in each insert and hide duplicates; they are counted afterwards.
 */
export class Effects {
  readonly connectionString: string
  readonly #server: pg.Client
  readonly #database: string
  /** One connection: what is asked side by side waits its turn. */
  readonly #pool: pg.Pool

  private constructor(server: pg.Client, database: string, connectionString: string) {
    this.#server = server
    this.#database = database
    this.connectionString = connectionString
    this.#pool = new pg.Pool({ connectionString, max: 1, idleTimeoutMillis: 0 })
    // Dropping the database ends a connection that is still being closed.
    this.#pool.on('error', () => {})
  }

  /** Throws when this Postgres does not write its commits to the disk: such figures would mean nothing. */
  static async open(serverUrl: string): Promise<Effects> {
    const server = new pg.Client({ connectionString: serverUrl })
    await server.connect()
    for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes']) {
      const { rows } = await server.query<{ value: string }>('select current_setting($1) as value', [setting])
      if (rows[0]?.value !== 'on')
        throw new Error(`this Postgres has ${setting}=${rows[0]?.value}; the bench needs it on`)
    }
    const database = `tidemark_bench_${randomBytes(4).toString('hex')}`
    await server.query(`create database ${database}`)
    const url = new URL(serverUrl)
    url.pathname = `/${database}`
    return new Effects(server, database, url.href)
  }

  async createTable(name: string): Promise<void> {
    await this.#pool.query(
      `create table ${name} (partition int, log_offset bigint, account text, amount int, sent float8, at timestamptz default clock_timestamp())
       with (autovacuum_enabled = false)`,
    )
    // Neither pays for what was written before it.
    await this.#pool.query('checkpoint')
  }

  async dropTable(name: string): Promise<void> {
    await this.#pool.query(`drop table ${name}`)
  }

  /** Size of the table in bytes: cheap to ask, and at rest when nobody writes. */
  async bytes(table: string): Promise<number> {
    const { rows } = await this.#pool.query<{ bytes: string }>('select pg_relation_size($1::regclass) as bytes', [
      table,
    ])
    return Number(rows[0]!.bytes)
  }

  async count(table: string): Promise<number> {
    const { rows } = await this.#pool.query<{ count: string }>(`select count(*) from ${table}`)
    return Number(rows[0]!.count)
  }

  /** When the last effect happened, ms since 1970 by the database's clock. */
  async lastAt(table: string): Promise<number> {
    const { rows } = await this.#pool.query<{ ms: number }>(
      `select (extract(epoch from max(at)) * 1000)::float8 as ms from ${table}`,
    )
    return rows[0]!.ms
  }

  /** How many messages of a slice's partitions have an effect, and when the last one got it: ms since 1970, 0 before the first. */
  async ofSlice(table: string, slices: number, slice: number): Promise<{ messages: number; lastAt: number }> {
    const { rows } = await this.#pool.query<{ messages: string; at: number }>(
      `select count(distinct (partition, log_offset)) as messages, coalesce(extract(epoch from max(at)) * 1000, 0)::float8 as at
       from ${table} where partition % $1 = $2`,
      [slices, slice],
    )
    return { messages: Number(rows[0]!.messages), lastAt: rows[0]!.at }
  }

  async tally(table: string, messages: number): Promise<Tally> {
    const { rows } = await this.#pool.query<{ all: string; distinct: string }>(
      `select coalesce(sum(n), 0) as all, count(*) as distinct
       from (select count(*) as n from ${table} group by partition, log_offset) m`,
    )
    const [all, distinct] = [Number(rows[0]!.all), Number(rows[0]!.distinct)]
    return { lost: messages - distinct, duplicates: all - distinct }
  }

  /** Messages of a group that are set aside now. */
  async letters(group: string): Promise<number> {
    const { rows } = await this.#pool.query<{ count: string }>(
      'select count(*) from tidemark.dead_letters where "group" = $1 and done_at is null',
      [group],
    )
    return Number(rows[0]!.count)
  }

  /** Transactions of the database so far. Those of sessions that are open are counted up to a second late. */
  async transactions(): Promise<{ readonly commits: number; readonly rollbacks: number }> {
    const { rows } = await this.#pool.query<{ commits: string; rollbacks: string }>(
      'select xact_commit as commits, xact_rollback as rollbacks from pg_stat_database where datname = current_database()',
    )
    return { commits: Number(rows[0]!.commits), rollbacks: Number(rows[0]!.rollbacks) }
  }

  /** What has become of a backlog with poison in it. Keys that have messages set aside are no healthy ones. */
  async poisonTally(table: string, group: string) {
    const { rows } = await this.#pool.query<{ effects: number; duplicates: number; chunks: number; pause: number }>(
      `select count(*)::int as effects, (count(*) - count(distinct (partition, log_offset)))::int as duplicates,
         count(distinct xmin::text)::int as chunks,
         (select coalesce(max(ms), 0)::float8 from (
            select 1000 * extract(epoch from at - lag(at) over (partition by partition order by at)) as ms from ${table}
            where account not in (select convert_from(key, 'UTF8') from tidemark.dead_letters where "group" = $1 and key is not null)
          ) gaps) as pause
       from ${table}`,
      [group],
    )
    const { pause, ...counts } = rows[0]!
    return { ...counts, letters: await this.letters(group), longestPauseMs: Math.round(pause) }
  }

  /** Milliseconds from sending to effect, of the messages sent at `since` (ms since 1970) or later, in rising order. */
  async latencies(table: string, since: number): Promise<number[]> {
    const { rows } = await this.#pool.query<{ ms: number }>(
      `select (extract(epoch from at) * 1000 - sent)::float8 as ms from ${table} where sent >= $1 order by 1`,
      [since],
    )
    return rows.map(({ ms }) => ms)
  }

  async close(): Promise<void> {
    await this.#pool.end()
    await this.#server.query(`drop database ${this.#database} with (force)`)
    await this.#server.end()
  }
}
