import { createHash } from 'node:crypto'
import type pg from 'pg'
import { messageOf } from '../../model/errors.js'
import type { PartitionKey } from '../../model/partition.js'
import { describeToken, type FencingToken } from '../../model/token.js'
import type { Log } from '../../ports/index.js'
import { Gather } from '../../storing/gather.js'
import { answerTimeout, ask } from '../client/ask.js'
import { controlConnections } from '../client/pool.js'

interface Owner {
  readonly key: PartitionKey
  readonly token: FencingToken
}

/** A session's name is 26 characters for the partition, then its owner's token. */
const named = `application_name ~ '^tidemark [0-9a-f]{16} [0-9]+[.][0-9]+[.][0-9]+$'`
const sessions = `select pid, application_name from pg_stat_activity
  where datname = current_database() and usename = current_user and pid <> pg_backend_pid() and ${named}`

/** Database sessions of chunks, and how to end them. */
export class ChunkSessions {
  readonly #ends = new Gather<Owner, true>((owners) => this.#endOlder(owners), { atOnce: controlConnections })

  /**
   * @param pool for control statements
   * @param schema deployments in one database have a schema each, and may have groups of the same name
   */
  constructor(
    private readonly pool: pg.Pool,
    private readonly schema: string,
    private readonly log: Log,
  ) {}

  /** Names the session of a chunk: which partition, and which of its owners. Fits Postgres's 63 bytes. */
  nameOf(key: PartitionKey, token: FencingToken): string {
    return `${this.#prefixOf(key)}${describeToken(token)}`
  }

  /**
   * Ends what owners older than `token` still have open. A worker that was stopped in the middle of a chunk (SIGSTOP, a frozen
   * machine, a cut network) may hold locks on the user's rows for ever, and the new owner would wait for it. A newer owner may
   * have claimed meanwhile, and is left alone. Calls of one turn of the event loop share a statement. Never throws.
   */
  async endOlder(key: PartitionKey, token: FencingToken): Promise<void> {
    await this.#ends.ask({ key, token })
  }

  /** Ends the session of one chunk. Never throws. */
  async end(name: string): Promise<void> {
    await this.#end(`select pg_terminate_backend(pid) from (${sessions}) session where application_name = $1`, [name])
  }

  async #endOlder(owners: readonly Owner[]): Promise<readonly true[]> {
    await this.#end(
      `select pg_terminate_backend(pid) from (${sessions}) session
       join unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as newer (prefix, epoch, batch, attempt)
         on left(application_name, 26) = prefix
           and case when ${named}
             then string_to_array(substr(application_name, 27), '.')::bigint[] < array[epoch, batch, attempt] end`,
      [
        owners.map(({ key }) => this.#prefixOf(key)),
        owners.map(({ token }) => token.epoch),
        owners.map(({ token }) => token.batch),
        owners.map(({ token }) => token.attempt),
      ],
    )
    return owners.map(() => true)
  }

  async #end(text: string, values: unknown[]): Promise<void> {
    try {
      await ask(this.pool, text, values, { within: answerTimeout })
    } catch (error) {
      this.log.warn({ error: messageOf(error) }, 'could not end the session of a chunk that is over; it may hold locks')
    }
  }

  #prefixOf({ group, stream, partition }: PartitionKey): string {
    const hash = createHash('sha256')
      .update(JSON.stringify([this.schema, group, stream, partition]))
      .digest('hex')
      .slice(0, 16)
    return `tidemark ${hash} `
  }
}
