import { EventEmitter } from 'node:events'
import type pg from 'pg'
import { driver } from '../client/driver.js'
import { closesEarly, endOf, guardedCall, isQueryObject, type QueryObject, textOf } from './query-objects.js'
import { kindOf, type TransactionCommand } from './statement.js'
import { Turns } from './turns.js'

type Callback = (error: Error | undefined, result?: pg.QueryResult) => void
/** What pg's `query` takes, in all its forms. */
type Asked = string | pg.QueryConfig | QueryObject

/** pg's client in the parts that its types leave out or call read-only. */
interface RawClient extends Omit<pg.PoolClient, 'pipeline' | 'query'> {
  pipeline: boolean
  query(asked: unknown, values?: unknown): unknown
}

/** SQLSTATE of a statement that comes after a failed one in the same transaction. */
const alreadyFailed = '25P02'
/** What pg reads of a query's config, beside its text and values. Read once: from an object of a class, too, as tagged templates make them. */
const options = ['name', 'types', 'rowMode', 'rows', 'portal', 'binary', 'queryMode', 'query_timeout'] as const
const passedOn = ['notice', 'notification', 'error', 'end'] as const

/**
 * The client that a handler gets for one chunk. It looks like pg's own to query builders and ORMs, and differs in this:
 *
 * - It works until the chunk is over. Statements that come later, from branches that the handler did not await, fail.
 * - BEGIN, COMMIT and ROLLBACK, as ORMs send them for `transaction()`, are savepoints. Where that can't be, they are refused.
 * - Cursors, streams and COPY work, though the connection is a pipelining one: from the first of them on, statements are sent one by
 *   one. Only pg's own queries may share a pipeline.
 */
export class LentClient extends EventEmitter {
  readonly #raw: RawClient
  readonly #turns: Turns
  readonly #savepoints: string[] = []
  #named = 0
  #types: pg.TypeOverrides | null = null
  #over = false
  /** Why the transaction failed, if a statement of the handler did that. */
  failure: unknown
  /** What went wrong without the server's knowing: a statement that never reached it, a callback that threw. */
  unsent: unknown
  /** What the handler did that no retry mends. */
  mistake: string | undefined
  /** What makes the effects of a handler that succeeds other than it believes. */
  torn: string | undefined
  /** True from a BEGIN within a BEGIN until both are over. */
  #nested = false
  /** True once the session may differ from a new one. */
  changed = false
  readonly #thrown = (error: unknown) => {
    this.unsent ??= error
  }
  readonly #listeners = passedOn.map((event) => {
    const listener = (...values: unknown[]) => {
      // Without a listener, an error event would be thrown.
      if (event === 'error' && this.listenerCount('error') === 0) return
      // It would stop the connection in the middle of a message.
      guardedCall(() => this.emit(event, ...values), this.#thrown)()
    }
    return [event, listener] as const
  })

  /**
   * @param begun settles with the transaction's beginning, which is on its way
   * @param onLate called when a statement comes after the chunk is over
   */
  constructor(
    client: pg.PoolClient,
    begun: Promise<unknown>,
    private readonly onLate: () => void,
  ) {
    super()
    this.#raw = client as unknown as RawClient
    this.#turns = new Turns(begun, () => {
      this.#raw.pipeline = false
    })
    for (const [event, listener] of this.#listeners) client.on(event as 'error', listener)
  }

  /** As pg's own, for a text, a config or an object that submits itself, with a promise or a callback. */
  query(asked: Asked, values?: unknown, callback?: Callback): unknown {
    if (asked === null || asked === undefined) throw new TypeError('Client was passed a null or undefined query')
    const told = typeof values === 'function' ? (values as Callback) : callback
    const parameters = typeof values === 'function' ? undefined : values
    if (isQueryObject(asked)) return this.#submit(asked, parameters, told)
    const answered = this.#ask(asked, parameters)
    // The chunk fails for what nobody awaits; the process must not end for that.
    answered.catch(noop)
    const own: unknown = Reflect.get(Object(asked), 'callback')
    const call = told ?? (typeof own === 'function' ? (own as Callback) : undefined)
    if (!call) return answered
    const tell = guardedCall(call, this.#thrown)
    this.#turns.track(
      answered.then(
        (result) => tell(null, result),
        (error) => tell(error),
      ),
    )
    return undefined
  }

  /** The chunk waits for `work`, and fails with it, whether or not the handler does. */
  include<T>(work: Promise<T>): Promise<T> {
    this.#turns.track(work.then(noop, (error) => this.#failed(error)))
    return work
  }

  /** A statement of Tidemark's own. `before` and `after` put the handler's settings aside and back, and nothing comes between. */
  ownQuery(
    before: string,
    text: string,
    values: readonly unknown[] | undefined,
    after: string,
  ): Promise<pg.QueryResult> {
    const { changed } = this
    this.query(before)
    const answered = this.query(text, values) as Promise<pg.QueryResult>
    this.query(after)
    this.changed = changed
    return answered
  }

  /** Resolves when every statement has been answered. @throws Error where a cursor, a stream or a COPY stays open */
  async settled(): Promise<void> {
    if (await this.#turns.settled()) return
    throw this.#refuse('it returned without closing a cursor, a stream or a COPY; close it, or await its end')
  }

  /** True while a cursor, a stream or a COPY keeps the connection for itself. */
  get busy(): boolean {
    return this.#turns.busy
  }

  /** From here on every statement fails. */
  close(): void {
    if (this.#over) return
    this.#over = true
    for (const [event, listener] of this.#listeners) this.#raw.off(event, listener)
    this.removeAllListeners()
  }

  /** The connection pipelines again. Only once nothing is under way. */
  restore(): void {
    this.#raw.pipeline = true
  }

  /** For query builders that take a client from a pool and give it back. The chunk keeps it. */
  release(): void {}

  /** For libraries that connect what they are given. */
  async connect(callback?: (error: null, client: this) => void): Promise<this> {
    if (typeof callback === 'function') process.nextTick(guardedCall(callback, this.#thrown), null, this)
    return this
  }

  /** Nothing that a handler was lent is its own to end. */
  async end(): Promise<void> {
    throw this.#refuse('it ended the connection of its transaction; leave that to Tidemark')
  }

  getTransactionStatus(): string | null {
    return this.#raw.getTransactionStatus()
  }

  /** Counts in this chunk only. */
  setTypeParser(...parser: Parameters<pg.TypeOverrides['setTypeParser']>): void {
    this.#types ??= new driver.TypeOverrides(this.#raw as unknown as ConstructorParameters<typeof pg.TypeOverrides>[0])
    this.#types.setTypeParser(...parser)
  }

  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
    const types = this.#types ?? this.#raw
    return format === 'binary' ? types.getTypeParser(oid, 'binary') : types.getTypeParser(oid, 'text')
  }

  escapeIdentifier(text: string): string {
    return driver.escapeIdentifier(text)
  }

  escapeLiteral(text: string): string {
    return driver.escapeLiteral(text)
  }

  async #ask(asked: string | pg.QueryConfig, values: unknown): Promise<pg.QueryResult> {
    const config = typeof asked === 'string' ? { text: asked } : asked
    const { text } = config
    if (text !== undefined && text !== null && typeof text !== 'string')
      throw new TypeError('the text of a query must be a string')
    const command = this.#admit(text ?? '')
    const sent: Record<string, unknown> = { text: command === undefined ? text : this.#savepoint(command) }
    if (command === undefined) {
      const given = values ?? config.values
      if (given !== undefined) sent.values = given
      for (const option of options) {
        const value: unknown = Reflect.get(config, option)
        if (value !== undefined) sent[option] = value
      }
      if (this.#types) sent.types ??= this.#types
    }
    // pg's `rows` option reads through a portal, as cursors do.
    if (sent.rows) this.#turns.oneByOne()
    const answered = this.#turns.take(async () => {
      if (this.#over) throw over()
      return this.#raw.query(sent) as Promise<pg.QueryResult>
    })
    this.#turns.track(answered.then(noop, (error) => this.#failed(error)))
    return answered
  }

  #submit<S extends QueryObject>(asked: S, values: unknown, callback: Callback | undefined): S {
    if (callback) Reflect.set(asked, 'callback', callback)
    const ended = endOf(asked, this.#thrown)
    ended.catch(noop)
    const refuse = (error: Error) => process.nextTick(() => asked.handleError?.(error, nowhere))
    const text = textOf(asked)
    try {
      const command = this.#admit(text)
      if (command) throw this.#refuse(`it sends ${command.toUpperCase()} as a query object; send it as a text`)
    } catch (error) {
      refuse(error as Error)
      return asked
    }
    const sent = closesEarly(asked)
    // pg's own query keeps no portal open, and may share the pipeline.
    if (!(asked instanceof driver.Query)) this.#turns.oneByOne()
    let isItsTurn = false
    const submit = () => {
      isItsTurn = true
      if (this.#over) refuse(over())
      else if (textOf(asked) !== text) refuse(this.#refuse('it changes the text of a query that waits for its turn'))
      else {
        this.#raw.query(asked, values)
        sent()
      }
      return ended
    }
    const failed = (error: unknown) => {
      if (!isItsTurn) refuse(error as Error)
      this.#failed(error)
    }
    this.#turns.track(this.#turns.takeAlone(submit).then(noop, failed))
    return asked
  }

  /** The command that a text is, if it is one. @throws Error for a text that may not be sent */
  #admit(text: string): TransactionCommand | undefined {
    if (this.#over) {
      this.onLate()
      throw over()
    }
    const { command, refused, session } = kindOf(text)
    if (refused !== undefined) throw this.#refuse(refused)
    if (command && command !== 'begin' && this.#savepoints.length === 0)
      throw this.#refuse(
        `it sends ${command.toUpperCase()}; leave commit and rollback to Tidemark, or its effects are not tied to its progress`,
      )
    this.changed ||= session
    return command
  }

  #savepoint(command: TransactionCommand): string {
    if (command === 'begin') {
      const name = `tidemark_${++this.#named}`
      this.#nested ||= this.#savepoints.length > 0
      this.#savepoints.push(name)
      return `savepoint ${name}`
    }
    const name = this.#savepoints.pop()!
    // Which of the two is meant, nobody can tell: branches that run at the same time look like one within the other.
    if (command === 'rollback' && this.#nested)
      this.torn ??=
        'it rolled back one of two transactions that were open at once on its client, which may take back what the other one wrote; ' +
        'run them one after the other, or use SAVEPOINT for one within the other'
    this.#nested &&= this.#savepoints.length > 0
    return command === 'commit'
      ? `release savepoint ${name}`
      : `rollback to savepoint ${name}; release savepoint ${name}`
  }

  #refuse(what: string): Error {
    this.mistake ??= what
    return new Error(`the handler may not do that: ${what}`)
  }

  #failed(error: unknown): void {
    if (!(error instanceof driver.DatabaseError)) this.unsent ??= error
    if ((error as { code?: unknown } | null)?.code !== alreadyFailed) this.failure = error
  }
}

/** For objects that look for a connection when they fail before they had one. */
const nowhere = { sync() {}, removeListener() {} }

function over(): Error {
  return new Error('the transaction of this chunk is over: await every query before the handler returns')
}

function noop(): void {}
