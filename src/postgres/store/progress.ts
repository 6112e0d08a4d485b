import { fenced, positionChanged } from '../../model/fenced.js'
import type { GroupName, PartitionKey } from '../../model/partition.js'
import { handlerMistaken } from '../../model/refusals.js'
import { compareTokens, describeToken, type FencingToken } from '../../model/token.js'
import type {
  Claimed,
  Inbox,
  Log,
  Outbox,
  Progress,
  ProgressBeginning,
  SqlProgressLog,
  Transaction,
} from '../../ports/index.js'
import { answerTimeout, ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { controlConnections, openConnections, type PooledPostgres, postgresError } from '../client/pool.js'
import { ServerProbe } from '../client/server-probe.js'
import { insertEvents, partsOf } from '../output/insert-events.js'
import { ChunkSessions } from './chunk-sessions.js'
import { GatheredStatement, type StatementOfMany } from './gathered-statement.js'
import { PostgresInbox } from './inbox.js'
import {
  advanceStatement,
  beginStatement,
  claimStatement,
  raiseStatement,
  readStatement,
} from './progress-statements.js'
import { ChunkTransaction, HandlerMistake, withinHandler } from './transaction.js'

/** Raised by a writer's statements: where a newer owner has the partition; and where progress is not its own, though there is none. */
const [fencedState, changedState] = ['TM001', 'TM002']
/** A worker that starts opens at most so many connections for handlers in advance: others need the server's connections, too. */
const mostPrepared = 4
/** Rows of a group that is deleted. */
const deletedAtOnce = 20_000

/**
 * The table `consumer_progress`: the fence that every chunk of a transactional handler passes through. Only handlers'
 * transactions use the handlers' pool.
 */
export class PostgresProgress implements SqlProgressLog {
  readonly outranksStore = true
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly atOnce: number
  readonly #schema: string
  readonly #sessions: ChunkSessions
  readonly #probe: ServerProbe
  readonly #reads: Statement<typeof readStatement>
  readonly #beginnings: Statement<typeof beginStatement>
  readonly #claims: Statement<typeof claimStatement>
  readonly #raises: Statement<typeof raiseStatement>
  readonly #advances: Statement<typeof advanceStatement>

  constructor(
    private readonly pools: Pick<PooledPostgres, 'pool' | 'control'>,
    private readonly settings: PostgresSettings,
    private readonly log: Log,
  ) {
    const { pool, control } = pools
    this.atOnce = settings.poolSize
    this.#schema = driver.escapeIdentifier(settings.schema)
    const table = `${this.#schema}.consumer_progress`
    this.#sessions = new ChunkSessions(control, settings.schema, log)
    this.#probe = new ServerProbe(control)
    this.#reads = new GatheredStatement(control, settings, readStatement(table))
    this.#beginnings = new GatheredStatement(control, settings, beginStatement(table))
    this.#claims = new GatheredStatement(control, settings, claimStatement(table))
    this.#raises = new GatheredStatement(control, settings, raiseStatement(table))
    this.#advances = new GatheredStatement(control, settings, advanceStatement(table))
    // Deletes in bulk, which may take long.
    this.inbox = new PostgresInbox(pool, settings)
    this.outbox = {
      append: (tx, stream, events) =>
        withinHandler(tx, async (own) => {
          const parts = partsOf(events)
          if (parts.length > 0) await insertEvents(own, stream, settings.schema, parts)
        }),
    }
  }

  async prepare(transactions: number): Promise<void> {
    const { pool, control } = this.pools
    await Promise.all([
      openConnections(control, controlConnections),
      openConnections(pool, Math.min(transactions, this.atOnce, mostPrepared)),
    ])
  }

  read(key: PartitionKey): Promise<Progress | null> {
    return this.#reads.ask({ key })
  }

  begin(key: PartitionKey, beginning: ProgressBeginning): Promise<void> {
    return this.#beginnings.ask({ key, beginning })
  }

  async claim(key: PartitionKey, token: FencingToken, { replay }: { replay: number }): Promise<Claimed> {
    const claimed = await this.#claims.ask({ key, token, replay })
    // In a statement of its own: a session that began before the claim was committed must be seen.
    await this.#sessions.endOlder(key, token)
    return claimed
  }

  async raise(key: PartitionKey, token: FencingToken): Promise<void> {
    await this.#raises.ask({ key, token })
    // Also where that changed nothing: an earlier try may have come no further.
    await this.#sessions.endOlder(key, token)
  }

  async advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint, witness?: string): Promise<void> {
    if (await this.#advances.ask({ key, token, from, to, witness })) return
    const owner = await this.read(key)
    throw owner && compareTokens(owner.token, token) > 0 ? fenced(key, token) : notItsOwn(key, token)
  }

  async transact(
    key: PartitionKey,
    token: FencingToken,
    from: bigint,
    to: bigint | (() => bigint),
    work: (tx: Transaction) => Promise<void>,
    witness?: string,
  ): Promise<void> {
    const client = await this.pools.pool.connect().catch((error) => {
      throw postgresError(error, this.settings)
    })
    const name = this.#sessions.nameOf(key, token)
    const transaction = new ChunkTransaction(client, name, () => {
      const { group, stream, partition } = key
      this.log.warn(
        { group, stream, partition },
        'a handler sent a statement after its chunk was over, and the statement was dropped: await every query before the handler returns',
      )
    })
    let ofHandler: unknown
    const handled = async (tx: Transaction) => {
      try {
        await work(tx)
      } catch (error) {
        ofHandler = error
        throw error
      }
    }
    const advance = () => this.#advance(key, token, from, typeof to === 'function' ? to() : to, witness)
    const running = transaction.run(handled, this.#check(key, token), advance)
    let isOver = false
    const over = () => {
      isOver = true
    }
    running.then(over, over)
    const failure = await this.#probe.during(running).then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    // Right away: other handlers wait for the connection.
    const clean = transaction.release()
    if (!failure) return
    // Nobody answers there: whoever has the partition next ends the session, should it still be open.
    if (!isOver) throw postgresError(failure.error, this.settings)
    if (!clean) await this.#sessions.end(name)
    if (codeOf(failure.error) === changedState) throw notItsOwn(key, token)
    if (await this.#isFenced(failure.error, key, token)) throw fenced(key, token)
    if (failure.error instanceof HandlerMistake) throw handlerMistaken(key, from, failure.error.message)
    // What the handler throws may look like an outage and be one of another server.
    throw failure.error === ofHandler && !transaction.failedToBegin
      ? ofHandler
      : postgresError(failure.error, this.settings)
  }

  async delete({ group, stream }: GroupName): Promise<void> {
    try {
      // Progress first: who has none writes no letters.
      for (const table of ['consumer_progress', 'consumer_troubles', 'dead_letters', 'dead_letter_partitions'])
        await this.#deleteFrom(`${this.#schema}.${table}`, [group, stream])
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }

  /** In pieces: each is answered in time, however many letters there are. */
  async #deleteFrom(table: string, names: readonly string[]): Promise<void> {
    const text = `delete from ${table} where ctid = any (array(
      select ctid from ${table} where "group" = $1 and stream = $2 limit ${deletedAtOnce})) returning true`
    for (;;) {
      const gone = await ask(this.pools.control, text, names, { within: answerTimeout, rowMode: 'array' })
      if (gone.length < deletedAtOnce) return
    }
  }

  #check(key: PartitionKey, token: FencingToken): string {
    return `select ${this.#schema}.check_owner(${writer(key, token)})`
  }

  /** A statement without parameters, so that it can go out in one message with COMMIT. */
  #advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint, witness: string | undefined): string {
    const last = witness === undefined ? 'null' : driver.escapeLiteral(witness)
    return `select ${this.#schema}.advance_progress(${writer(key, token)}, ${from}, ${to}, ${last})`
  }

  /** Whether somebody newer owns the partition. It ends this owner's sessions, so any failure may mean no more than that. */
  async #isFenced(error: unknown, key: PartitionKey, token: FencingToken): Promise<boolean> {
    if (codeOf(error) === fencedState) return true
    const owner = await this.read(key).catch(() => null)
    return owner !== null && compareTokens(owner.token, token) > 0
  }
}

/** Whom a statement is from, as its first parameters. */
function writer({ group, stream, partition }: PartitionKey, { epoch, batch, attempt, owner }: FencingToken): string {
  const names = `${driver.escapeLiteral(group)}, ${driver.escapeLiteral(stream)}`
  return `${names}, ${partition}, ${epoch}, ${batch}, ${attempt}, ${driver.escapeLiteral(owner ?? '')}`
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined
}

/** The database was set back, or emptied; or an advance whose answer was lost has come through. */
function notItsOwn(key: PartitionKey, token: FencingToken): Error {
  return positionChanged(key, `has progress that is not that of ${describeToken(token)} any more; nothing was written`)
}

type Statement<S extends (table: string) => unknown> =
  ReturnType<S> extends StatementOfMany<
    infer Q extends { readonly key: PartitionKey },
    infer R extends PartitionKey,
    infer A
  >
    ? GatheredStatement<Q, R, A>
    : never
