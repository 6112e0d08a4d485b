import type { Client } from '@temporalio/client'
import type { TidemarkConfig } from '../config/define.js'
import { type ParsedConfig, type ParsedConsumer, parseConfig } from '../config/parse.js'
import type { TemporalSettings } from '../config/temporal.js'
import type { Database, DatabaseClient, OffsetStoreClient, SourceClient } from '../ports/index.js'
import { connectClient } from '../temporal/connection.js'
import { closeSoon, openDatabase, openSource, openStore } from './open-parts.js'

/**
 * A checked config, and the parts of it that one command needs. Each part is opened with its first use, once, and stays open until
 * the session ends. A part that could not be opened is tried again with its next use.
 */
export class Session {
  readonly #opened = new Map<unknown, Promise<unknown>>()
  readonly #closing: (() => Promise<void>)[] = []

  /** Use `inSession`, which closes it. */
  constructor(
    readonly config: ParsedConfig,
    private readonly connect: (settings: TemporalSettings) => Promise<Client> = connectClient,
  ) {}

  /** The config's store, with its tables up to date. Throws as `openStore`. */
  store(): Promise<OffsetStoreClient> {
    return this.#once(
      this.config.store,
      () => openStore(this.config),
      (store) => store,
    )
  }

  /** The database of the config's store, where groups keep their records. Throws as `openDatabase`. */
  database(): Promise<DatabaseClient> {
    return this.#database(this.config.store.database)
  }

  /** The database where a consumer's progress lives. Throws as `openDatabase`. */
  progressDatabase({ handler }: ParsedConsumer): Promise<DatabaseClient> {
    return this.#database(this.progressPlace({ handler }))
  }

  /** What that database is, unopened. */
  progressPlace({ handler }: Pick<ParsedConsumer, 'handler'>): Database {
    return (handler.kind === 'transactional' ? handler.database : undefined) ?? this.config.store.database
  }

  /** A consumer's stream. Throws as `openSource`. */
  source(consumer: ParsedConsumer): Promise<SourceClient> {
    return this.#once(
      consumer,
      () => openSource(consumer),
      (source) => source,
    )
  }

  /** The same, with the values of messages as bytes. */
  undecoded(consumer: ParsedConsumer): Promise<SourceClient> {
    return this.#once(
      consumer.source,
      () => openSource(consumer, 'bytes'),
      (source) => source,
    )
  }

  /** Throws TidemarkError UNREACHABLE, AUTH_FAILED or CONFIG_INVALID, as `connectClient`. */
  temporal(): Promise<Client> {
    return this.#once(
      'temporal',
      () => this.connect(this.config.temporal),
      ({ connection }) => connection,
    )
  }

  /** Closes what was opened, the last part first. Never rejects, and waits for no part that is gone. */
  async close(): Promise<void> {
    // What is being opened is closed, too.
    await Promise.allSettled(this.#opened.values())
    for (const close of this.#closing.splice(0).reverse()) await close()
    this.#opened.clear()
  }

  #database(part: Database): Promise<DatabaseClient> {
    return this.#once(
      part,
      () => openDatabase(part),
      (database) => database,
    )
  }

  #once<T>(part: unknown, open: () => Promise<T>, closable: (opened: T) => { close(): Promise<void> }): Promise<T> {
    const known = this.#opened.get(part) as Promise<T> | undefined
    if (known !== undefined) return known
    const opening = open().then(
      (opened) => {
        this.#closing.push(() => closeSoon(closable(opened)))
        return opened
      },
      (error) => {
        this.#opened.delete(part)
        throw error
      },
    )
    this.#opened.set(part, opening)
    return opening
  }
}

/**
 * Runs `use` in a session of its own, and closes it whatever comes of it.
 *
 * @throws TidemarkError CONFIG_INVALID, and what `use` throws
 */
export async function inSession<T>(config: TidemarkConfig, use: (session: Session) => Promise<T>): Promise<T> {
  const session = new Session(parseConfig(config))
  try {
    return await use(session)
  } finally {
    await session.close()
  }
}
