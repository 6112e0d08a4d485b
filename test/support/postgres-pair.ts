import pg from 'pg'
import { type LocalPostgres, type PostgresOptions, startPostgres } from '../../src/local/postgres.js'
import { postgresPrograms } from '../../src/local/postgres-program.js'
import { waitFor } from './wait-for.js'
import { Wire } from './wire.js'

/**
 * A Postgres and its standby, which streams from it over a wire. Clients reach them by one address, as with a proxy in front of Patroni: it
 * leads to the primary at first, and to the standby from `lead` on.
 */
export class PostgresPair {
  private constructor(
    readonly primary: LocalPostgres,
    readonly standby: LocalPostgres,
    private readonly replication: Wire,
    private readonly front: Wire,
  ) {}

  /** Resolves once the standby streams. */
  static async start({ durable = true }: Pick<PostgresOptions, 'durable'> = {}): Promise<PostgresPair> {
    const programs = await postgresPrograms()
    const primary = await startPostgres(programs, { durable })
    const [replication, front] = await Promise.all([Wire.to(hostOf(primary)), Wire.to(hostOf(primary))])
    try {
      const follows = { primary, address: replication.address }
      const standby = await startPostgres(programs, { durable, follows })
      const pair = new PostgresPair(primary, standby, replication, front)
      await pair.#streams().catch(async (error) => {
        await pair.close()
        throw error
      })
      return pair
    } catch (error) {
      await Promise.all([replication.close(), front.close(), primary.server.close()])
      throw error
    }
  }

  /** For clients: the address that always leads to the current server. */
  get connectionString(): string {
    const url = new URL(this.primary.connectionString)
    url.host = this.front.address
    return url.href
  }

  /** What the primary writes from now on never gets to the standby. */
  lag(): void {
    this.replication.cut()
  }

  /** kill -9 of the primary. */
  kill(): Promise<void> {
    return this.primary.server.kill()
  }

  /** Leads clients to the standby, which takes no writes until it is promoted. */
  lead(): void {
    this.front.lead(hostOf(this.standby))
  }

  /** Resolves when the standby takes writes. */
  async promote(): Promise<void> {
    const [row] = await rowsAt<{ done: boolean }>(this.standby, 'select pg_promote(true, 60) as done')
    if (!row!.done) throw new Error('the standby was not promoted within a minute')
  }

  /** Puts the standby in the place of the primary. Clients reach it a moment before it takes writes. */
  async failOver(): Promise<void> {
    await this.kill()
    this.lead()
    await this.promote()
  }

  async close(): Promise<void> {
    // In order, the primary would wait for its standby to have everything.
    await this.primary.server.kill()
    await Promise.all([this.primary.server.close(), this.standby.server.close()])
    await Promise.all([this.replication.close(), this.front.close()])
  }

  async #streams(): Promise<void> {
    const states = () => rowsAt<{ state: string }>(this.primary, 'select state from pg_stat_replication')
    await waitFor(async () => (await states()).some(({ state }) => state === 'streaming'), {
      timeout: 60_000,
      what: 'the standby to stream',
    })
  }
}

/** Rows of one query to one of the two, on its own connection. */
export async function rowsAt<T extends object>(
  { connectionString }: LocalPostgres,
  text: string,
  values: unknown[] = [],
): Promise<T[]> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<T>(text, values)).rows
  } finally {
    await client.end()
  }
}

function hostOf({ connectionString }: LocalPostgres): string {
  return new URL(connectionString).host
}
