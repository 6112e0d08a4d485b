import { createHash } from 'node:crypto'
import pg from 'pg'
import { messageOf } from '../../model/errors.js'
import { fenced } from '../../model/fenced.js'
import type { PartitionKey } from '../../model/partition.js'
import { compareTokens, describeToken, type FencingToken } from '../../model/token.js'
import type { Inbox, Log, Outbox, Progress, ProgressLog, Transaction } from '../../ports/index.js'
import { answerTimeout, ask } from '../client/ask.js'
import type { PostgresSettings } from '../client/options.js'
import { postgresError } from '../client/pool.js'
import { insertEvents, partsOf } from '../output/insert-events.js'
import { PostgresInbox } from './inbox.js'
import { ChunkTransaction } from './transaction.js'

/** Raised by advance_progress when the token is not the owner's. */
const fencedState = 'TM001'

/** The table `consumer_progress`: the fence that every chunk of a transactional handler passes through. */
export class PostgresProgress implements ProgressLog {
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly #schema: string

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
    private readonly log: Log,
  ) {
    this.#schema = pg.escapeIdentifier(settings.schema)
    this.inbox = new PostgresInbox(pool, settings)
    this.outbox = {
      append: async (tx, stream, events) => {
        const parts = partsOf(events)
        if (parts.length > 0) await insertEvents(tx, stream, settings.schema, parts)
      },
    }
  }

  async read({ group, stream, partition }: PartitionKey): Promise<Progress | null> {
    const rows = await this.#query(
      `select position, epoch, batch, attempt, replay from ${this.#schema}.consumer_progress
       where "group" = $1 and stream = $2 and partition = $3`,
      [group, stream, partition],
    )
    const [row] = rows
    if (!row) return null
    const token = { epoch: Number(row.epoch), batch: Number(row.batch), attempt: Number(row.attempt) }
    return { position: BigInt(row.position as string), token, replay: Number(row.replay) }
  }

  async claim(
    key: PartitionKey,
    token: FencingToken,
    { from, replay }: { from: bigint; replay: number },
  ): Promise<bigint> {
    const rows = await this.#query(
      `insert into ${this.#schema}.consumer_progress as stored
         ("group", stream, partition, epoch, batch, attempt, position, replay, replay_from)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $7)
       on conflict ("group", stream, partition) do update set
         epoch = excluded.epoch, batch = excluded.batch, attempt = excluded.attempt, updated_at = now(),
         position = case when stored.replay < excluded.replay then excluded.position else stored.position end,
         replay_from = case when stored.replay < excluded.replay then excluded.replay_from else stored.replay_from end,
         replay = greatest(stored.replay, excluded.replay)
       where (stored.epoch, stored.batch, stored.attempt) < (excluded.epoch, excluded.batch, excluded.attempt)
       returning position`,
      [key.group, key.stream, key.partition, token.epoch, token.batch, token.attempt, String(from), replay],
    )
    if (rows.length === 0) throw fenced(key, token)
    await this.#endOlder(key, token)
    return BigInt(rows[0]!.position as string)
  }

  async advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint): Promise<void> {
    try {
      await ask(this.pool, this.#advance(key, token, from, to), [], { within: answerTimeout })
    } catch (error) {
      throw (await this.#isFenced(error, key, token)) ? fenced(key, token) : postgresError(error, this.settings)
    }
  }

  async transact(
    key: PartitionKey,
    token: FencingToken,
    from: bigint,
    to: bigint | (() => bigint),
    work: (tx: Transaction) => Promise<void>,
  ): Promise<void> {
    const client = await this.pool.connect().catch((error) => {
      throw postgresError(error, this.settings)
    })
    const name = sessionName(key, token)
    const transaction = new ChunkTransaction(client, name)
    let ofHandler: unknown
    const handled = async (tx: Transaction) => {
      try {
        await work(tx)
      } catch (error) {
        ofHandler = error
        throw error
      }
    }
    const advance = () => this.#advance(key, token, from, typeof to === 'function' ? to() : to)
    const failure = await transaction.run(handled, this.#check(key, token), advance).then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    // First of all, since whoever asks why it failed needs a connection: with all of them held, everybody would wait for ever.
    const clean = transaction.release()
    if (!failure) return
    if (!clean) await this.#endSessions('application_name = $1', [name])
    if (await this.#isFenced(failure.error, key, token)) throw fenced(key, token)
    // What the handler throws may look like an outage and be one of another server.
    throw failure.error === ofHandler ? ofHandler : postgresError(failure.error, this.settings)
  }

  #check({ group, stream, partition }: PartitionKey, { epoch, batch, attempt }: FencingToken): string {
    const names = `${pg.escapeLiteral(group)}, ${pg.escapeLiteral(stream)}`
    return `select ${this.#schema}.check_owner(${names}, ${partition}, ${epoch}, ${batch}, ${attempt})`
  }

  /** A statement without parameters, so that it can go out in one message with COMMIT. */
  #advance(
    { group, stream, partition }: PartitionKey,
    { epoch, batch, attempt }: FencingToken,
    from: bigint,
    to: bigint,
  ): string {
    const names = `${pg.escapeLiteral(group)}, ${pg.escapeLiteral(stream)}`
    return `select ${this.#schema}.advance_progress(${names}, ${partition}, ${epoch}, ${batch}, ${attempt}, ${from}, ${to})`
  }

  /**
   * Ends what older owners still have open. A worker that was stopped in the middle of a chunk (SIGSTOP, a frozen machine, a
   * cut network) may hold locks on the user's rows for ever, and the new owner would wait for it. A newer owner may have
   * claimed meanwhile, and is left alone.
   */
  #endOlder(key: PartitionKey, { epoch, batch, attempt }: FencingToken): Promise<void> {
    return this.#endSessions(
      `case when application_name ~ ('^' || $1 || '[0-9]+[.][0-9]+[.][0-9]+$')
         then string_to_array(substr(application_name, length($1) + 1), '.')::bigint[] < $2::bigint[] end`,
      [sessionPrefix(key), [epoch, batch, attempt]],
    )
  }

  async #endSessions(condition: string, values: unknown[]): Promise<void> {
    try {
      await ask(
        this.pool,
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and usename = current_user and pid <> pg_backend_pid() and ${condition}`,
        values,
        { within: answerTimeout },
      )
    } catch (error) {
      this.log.warn({ error: messageOf(error) }, 'could not end the session of a chunk that is over; it may hold locks')
    }
  }

  /** Whether somebody newer owns the partition. It ends this owner's sessions, so any failure may mean no more than that. */
  async #isFenced(error: unknown, key: PartitionKey, token: FencingToken): Promise<boolean> {
    if (typeof error === 'object' && error !== null && Reflect.get(error, 'code') === fencedState) return true
    const owner = await this.read(key).catch(() => null)
    return owner !== null && compareTokens(owner.token, token) > 0
  }

  async #query(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    try {
      return await ask(this.pool, text, values, { within: answerTimeout })
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}

/** Names the database session of a chunk: which partition, and which of its owners. Fits Postgres's 63 bytes. */
function sessionName(key: PartitionKey, token: FencingToken): string {
  return `${sessionPrefix(key)}${describeToken(token)}`
}

function sessionPrefix({ group, stream, partition }: PartitionKey): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([group, stream, partition]))
    .digest('hex')
    .slice(0, 16)
  return `tidemark ${hash} `
}
