import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import type { DeadLetter } from '../client/letters/letter.js'
import type { LetterSelection } from '../client/letters/selection.js'
import type { ResetTarget } from '../client/target.js'
import type { TidemarkConfig } from '../config/define.js'
import { type ParsedConfig, parseConfig } from '../config/parse.js'
import type { MemoryStore } from '../memory/store/store.js'
import { TidemarkError } from '../model/errors.js'
import { type Duration, parseDuration } from '../model/units.js'
import type { Message, OffsetStoreClient, OutputRecord, StoredOffset } from '../ports/index.js'
import type { TestClock } from './clock.js'
import type { TestDatabase } from './database.js'
import { type FailOptions, type HandlerCall, Handling } from './handling.js'
import type { LastLines } from './last-lines.js'
import { deadLettersOf, redriven } from './letters.js'
import { Life } from './life.js'
import type { TestMessage, TestPlace, TestStream } from './messages.js'
import type { TestSettings } from './options.js'
import type { Outbox } from './outbox.js'
import { type ProducedMessage, producedOf } from './output.js'
import { type ResetWhich, resetPositions } from './reset.js'
import { consumerOf, streamOf } from './selection.js'
import type { TestServer } from './server.js'
import { untilSettled } from './settle.js'
import { announce, workflowsOf } from './slices.js'
import { standingOf, storedStates, type TestPartition } from './states.js'
import { type TestParts, testConfigOf } from './test-config.js'
import type { Work } from './work.js'
import { type RunningWorker, runWorker } from './workers.js'

/** How long the groups may take to be ready for messages, ms in real time. */
const startMayTake = 30_000
/** Why the kit ends workflows. Tidemark's own reasons have this prefix, so that a group does not count as stopped by a person. */
const endReason = 'tidemark: the test is over'

/** What `testConsumer` has made ready. */
export interface KitParts {
  readonly config: ParsedConfig
  readonly settings: TestSettings
  readonly server: TestServer
  readonly namespace: string
  readonly client: Client
  readonly streams: ReadonlyMap<string, TestStream>
  readonly replaced: Omit<TestParts, 'handling' | 'take'>
  readonly database: TestDatabase | undefined
  readonly outbox: Outbox | undefined
  /** The store, where there is no database. */
  readonly memory: MemoryStore | undefined
  readonly work: Work
  readonly log: LastLines
  /** Gives back what was borrowed, when no workflow and no worker is left. */
  readonly end: () => Promise<void>
}

/**
 * The consumers of a config, on the real engine, with everything outside of this process replaced: `testConsumer` makes it.
 *
 *   running -> killed    `kill`
 *   killed  -> running   `restart`
 *   any     -> closed    `close`
 */
export class TestConsumer implements AsyncDisposable {
  readonly #parts: KitParts
  readonly #handling = new Handling()
  readonly #produced: ProducedMessage[] = []
  #config: ParsedConfig
  #running: RunningWorker | undefined
  /** Connected with the first question, which comes after the first worker has made the store's tables. */
  #store: Promise<OffsetStoreClient> | undefined
  #closed: Promise<void> | undefined

  /** Use `testConsumer`. */
  constructor(parts: KitParts) {
    this.#parts = parts
    this.#config = parts.config
    parts.work.afterBatch = () => this.#takeEvents()
  }

  /** What cut the handlers' calls: give it as the option `seed` to have the same cuts again. */
  get seed(): number {
    return this.#parts.settings.seed
  }

  /** The calls of all handlers so far. */
  get calls(): readonly HandlerCall[] {
    return this.#handling.calls
  }

  /** Messages that a handler has returned for, in the order of its calls. */
  handled(group?: string): readonly Message[] {
    return this.calls
      .filter((call) => call.error === undefined && (group === undefined || call.group === group))
      .flatMap(({ messages }) => messages)
  }

  /** What handlers have produced to the outputs of their consumers. Messages for a stream of this config are appended to it, too. */
  get produced(): readonly ProducedMessage[] {
    return this.#produced
  }

  /** What transactional handlers have written with `tx.client.write`, where the config's store is in memory. */
  get written(): readonly unknown[] {
    return this.#parts.memory?.written ?? []
  }

  /** A client of the kit's Temporal, for questions that the kit has no method for. */
  get client(): Client {
    return this.#parts.client
  }

  /** The clock that retries and timeouts go by. */
  get clock(): TestClock {
    return this.#parts.server.clock
  }

  /** Appends messages to the stream of the config, or to one of its streams. Returns where they are. */
  async append(messages: readonly TestMessage[]): Promise<TestPlace[]>
  async append(stream: string, messages: readonly TestMessage[]): Promise<TestPlace[]>
  async append(first: string | readonly TestMessage[], second: readonly TestMessage[] = []): Promise<TestPlace[]> {
    const { streams } = this.#parts
    const [stream, messages] =
      typeof first === 'string' ? [streamOf(streams, first), second] : [streamOf(streams), first]
    const now = await this.clock.now()
    const places = messages.map((message) => stream.append(message, now))
    await this.#announce(places)
    return places
  }

  /**
   * Resolves when nothing happens any more without time passing or somebody acting: every partition is caught up, or stopped (blocked,
   * paused, fenced, finished), or waits for a retry. Moves no time.
   *
   * @throws Error after `timeout`, saying how every partition stands
   */
  settled(): Promise<readonly TestPartition[]> {
    return this.#settled(this.#parts.settings.timeoutMs)
  }

  async #settled(timeoutMs: number): Promise<readonly TestPartition[]> {
    if (!this.#running) throw new Error('nothing settles while the worker is killed: call restart() first')
    const { work, log } = this.#parts
    await this.#takeEvents()
    return untilSettled({
      look: () => standingOf(this.#surroundings),
      wake: (places) => this.#announce(places),
      work,
      timeoutMs,
      remarks: () => `seed ${this.seed}${log.text && `\nthe worker's last warnings:\n${log.text}`}`,
    })
  }

  /**
   * Lets time pass: retries, timeouts and timers in between happen in their order, each at its time. Then waits as `settled` does. Time is
   * not skipped while a handler runs.
   *
   * @param duration milliseconds, or text: `'90s'`, `'2h'`, `'3d'`, `'3 days'`
   * @throws Error after `timeout` in real time
   */
  async advance(duration: Duration): Promise<readonly TestPartition[]> {
    const ms = millisecondsOf(duration)
    if (!this.#running) throw new Error('time does not pass while batches wait for a worker: call restart() first')
    const late = new AbortController()
    const { timeoutMs } = this.#parts.settings
    const patience = sleep(timeoutMs, 'late', { signal: late.signal }).catch(() => 'over')
    const skipped = this.clock.advance(ms)
    skipped.catch(() => {})
    if ((await Promise.race([skipped, patience])) === 'late')
      throw new Error(
        `${duration} did not pass within ${timeoutMs} ms of real time: ${this.#parts.work.inHand} activities are running, and time is not ` +
          'skipped meanwhile. Make retries fewer (retry.maximumInterval), or raise the option `timeout`',
      )
    late.abort()
    return this.settled()
  }

  /** Makes the next calls of a handler throw this. */
  failNext(error: unknown, options: FailOptions = {}): void {
    this.#handling.failNext(error, options)
  }

  /**
   * The worker is gone, as after kill -9: chunks in hand are lost, and nothing of them is committed. What a handler does besides
   * transactions goes on, since it runs in this process. Its batches are tried again when the consumer's `heartbeatTimeout` has passed and
   * a worker runs: `await t.restart()`, `await t.advance('10s')`.
   */
  async kill(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.kill()
  }

  /**
   * Starts a worker, and its groups as `tidemark start` does. One that runs finishes its chunks in hand first.
   *
   * @param config another one, as after a deploy: with the same groups and streams
   */
  async restart(config?: TidemarkConfig): Promise<void> {
    const parsed = config === undefined ? this.#config : parseConfig(config)
    const unknown = parsed.consumers.find(({ settings }) => !this.#parts.streams.has(settings.stream))
    if (unknown)
      throw new TidemarkError(
        'CONFIG_INVALID',
        `restart: this kit has no stream '${unknown.settings.stream}'; make another kit`,
      )
    const running = this.#running
    this.#running = undefined
    await running?.stop()
    this.#config = parsed
    await this.#start()
  }

  /** Starts the first worker, and waits until its groups are ready for messages. `testConsumer` has done so. */
  async begin(): Promise<void> {
    await this.#start()
    await this.#settled(startMayTake)
  }

  async #start(): Promise<void> {
    const { server, namespace, work, log } = this.#parts
    const life = new Life()
    this.#running = await runWorker(server, namespace, this.#configFor(life), { life, work, log })
  }

  #configFor(life: Life): ParsedConfig {
    const { replaced } = this.#parts
    const take = (records: readonly OutputRecord[]) => this.#take(records)
    return testConfigOf(this.#config, { ...replaced, handling: this.#handling, take }, life)
  }

  /**
   * Moves positions as `tidemark reset` does, and has the messages from there on handled again.
   *
   * @param to `'first'`, `'last'`, `'next'`, `{ offset }`, `{ timestamp }`
   * @returns the partitions that were moved
   */
  reset(to: ResetTarget, which: ResetWhich = {}): Promise<readonly number[]> {
    return resetPositions(this.#configFor(new Life()), to, which)
  }

  /** Messages that were set aside and are not done with, as `tidemark dead-letters list` shows them. */
  deadLetters(selection: LetterSelection = {}): Promise<readonly DeadLetter[]> {
    return deadLettersOf(this.#configFor(new Life()), selection)
  }

  /**
   * Asks for messages that were set aside, as `tidemark dead-letters redrive` does. Resolves when each was handled or has failed again.
   *
   * @throws Error after `timeout`
   */
  redrive(selection: LetterSelection = {}): Promise<void> {
    return redriven(this.#configFor(new Life()), selection, this.#parts.settings.timeoutMs)
  }

  /** How the partitions stand now, as `tidemark status` says it. */
  async state(): Promise<readonly TestPartition[]> {
    for (let tries = 0; tries < 3; tries++) {
      const standing = await standingOf(this.#surroundings)
      if (standing) return standing.partitions
    }
    return storedStates(this.#surroundings)
  }

  /**
   * Committed offsets by partition.
   *
   * @param group one of the config's groups; may be left out where there is only one
   */
  async offsets(group?: string): Promise<Readonly<Record<number, bigint>>> {
    const { settings } = consumerOf(this.#config.consumers, group)
    const stored = await this.#stored(settings.group, settings.stream)
    return Object.fromEntries(stored.map(({ partition, position }) => [partition, position]))
  }

  /** Runs a query in the database that transactional handlers write to, and returns its rows. */
  async effects<R extends object = Record<string, unknown>>(
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<R[]> {
    const { database } = this.#parts
    if (!database)
      throw new Error(
        'effects: no consumer of this config writes to a Postgres; a transactional handler of its store would',
      )
    return (await database.query(sql, values)) as R[]
  }

  /** Ends everything: no workflow, no worker, no database is left. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { client, config, streams, end } = this.#parts
    const ids = config.consumers.flatMap((consumer) => workflowsOf(consumer, streams))
    // One that is gone already is as good.
    const terminate = (id: string) =>
      client.workflow
        .getHandle(id)
        .terminate(endReason)
        .catch(() => {})
    await Promise.all(ids.map(terminate))
    await this.#running?.stop().catch(() => {})
    this.#running = undefined
    await this.#store?.then((store) => store.close()).catch(() => {})
    await end()
  }

  async #take(records: readonly OutputRecord[]): Promise<void> {
    const now = await this.clock.now()
    this.#produced.push(...records.map(producedOf))
    const places = records.flatMap((record) => {
      const stream = this.#parts.streams.get(record.topic)
      return stream ? [stream.take(record, now)] : []
    })
    await this.#announce(places)
  }

  /** Events that handlers have appended to streams of the config, for those who read them. */
  async #takeEvents(): Promise<void> {
    const places = await this.#parts.outbox?.take(() => this.clock.now())
    if (places) await this.#announce(places)
  }

  #announce(places: readonly TestPlace[]): Promise<void> {
    const { client, streams } = this.#parts
    return announce(places, { client, consumers: this.#config.consumers, streams })
  }

  get #surroundings() {
    const { client, streams, work } = this.#parts
    const stored = (group: string, stream: string) => this.#stored(group, stream)
    return { client, clock: this.clock, consumers: this.#config.consumers, streams, work, stored }
  }

  async #stored(group: string, stream: string): Promise<readonly StoredOffset[]> {
    const { replaced, log } = this.#parts
    this.#store ??= replaced.store.connect({ log, signal: new AbortController().signal }).catch((error) => {
      this.#store = undefined
      throw error
    })
    return (await this.#store).read(group, stream)
  }
}

function millisecondsOf(duration: Duration): number {
  const text =
    typeof duration === 'string' ? duration.replace(/\s*(day|hour|minute|second)s?$/, (_, unit) => unit[0]) : duration
  const ms = parseDuration(text)
  if (ms === undefined)
    throw new TidemarkError('CONFIG_INVALID', `advance: ${duration} is no duration like '30s', '2h' or '3 days'`)
  return ms
}
