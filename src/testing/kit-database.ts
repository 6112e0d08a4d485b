import { dropAfterProcess } from '../local/left-databases.js'
import { createOwnDatabase, type OwnDatabase } from '../local/own-database.js'
import { messageOf, TidemarkError } from '../model/errors.js'
import { postgresDatabase, postgresStore } from '../postgres/store/store.js'
import { howToHaveOne } from './have-postgres.js'
import type { TestOptions } from './options.js'

/** What a kit's database is to be. */
export interface WantedDatabase {
  /** Where it is made. */
  readonly server: string
  /** The server ends with this process. */
  readonly own: boolean
  /** Of Tidemark's tables, if not the usual one. */
  readonly schema: string | undefined
  readonly setup: TestOptions['setup']
}

/** Transactions that find a connection open. */
const openForTransactions = 2
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A Postgres database for the handlers of one kit, and for its offsets. */
export class KitDatabase {
  readonly #closers: (() => Promise<void>)[] = []

  private constructor(
    private readonly made: OwnDatabase,
    private readonly wanted: WantedDatabase,
    /** Says that nobody has to drop it after this process. */
    private readonly dropped: () => void,
  ) {}

  /** @throws TidemarkError UNREACHABLE */
  static async create(wanted: WantedDatabase): Promise<KitDatabase> {
    let dropped = () => {}
    const named = (name: string) => {
      if (!wanted.own) dropped = dropAfterProcess(wanted.server, name)
    }
    try {
      const made = await createOwnDatabase(wanted.server, 'tidemark_kit', named)
      return new KitDatabase(made, wanted, () => dropped())
    } catch (error) {
      dropped()
      throw new TidemarkError(
        'UNREACHABLE',
        `the Postgres for the kit can't be used: ${messageOf(error)}. Its user must be able to create databases; or ${howToHaveOne}`,
        { cause: error },
      )
    }
  }

  get options() {
    const { schema } = this.wanted
    return { connectionString: this.made.connectionString, ...(schema !== undefined && { schema }) }
  }

  query(sql: string, values?: readonly unknown[]): Promise<object[]> {
    return this.made.query(sql, values)
  }

  /**
   * Runs the test's `setup`, then makes Tidemark's tables. Connections stay open until `close`: whoever connects to this database in this
   * process shares them.
   */
  async prepare(setup: TestOptions['setup']): Promise<void> {
    if (typeof setup === 'string') await this.query(setup)
    else await setup?.({ connectionString: this.made.connectionString })
    const context = { log: silent, signal: new AbortController().signal }
    const store = await postgresStore(this.options).connect(context)
    this.#closers.push(() => store.close())
    await store.migrate()
    const database = await postgresDatabase(this.options).connect(context)
    this.#closers.push(() => database.close())
    await database.progress.prepare?.(openForTransactions)
  }

  /** Closes the connections. The database is dropped after that, and nobody waits for it. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#closers.splice(0).map((close) => close()))
    // A server that is gone has nothing to be dropped. Of others, it is tried again when this process is over.
    void this.made.drop().then(this.dropped, () => {})
  }
}
