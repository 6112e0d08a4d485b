import type { Worker } from '@temporalio/worker'
import type { Story } from '../../activities/index.js'
import { messageOf } from '../model/errors.js'
import type { WorkerMetrics } from '../monitoring/metrics.js'
import type { Log } from '../ports/index.js'
import type { Listeners, WorkerEvents } from './listeners.js'
import type { Monitoring } from './monitoring.js'
import { releaseSdkWorkers } from './release.js'
import type { Watchdog } from './watchdog.js'

/**
 * Temporal knows a worker's polls for a moment after they were taken back, ms. A batch handed over within it may be handed to the very
 * worker that lets go, and is missed only after the heartbeat timeout.
 */
const pollsLinger = 150
/** How long a stopping worker waits for its watchdog's last look, ms. */
const lastLookMayTake = 1_000

/** A consumer that a worker is ready to run. */
export interface ReadyConsumer {
  readonly group: string
  readonly stream: string
  /** Partitions that the stream has now. */
  readonly partitions: number
  /** Version of its config. */
  readonly version: string
  /** Why the group does not run: a person has stopped it in Temporal. Null otherwise. */
  readonly stopped: string | null
}

/**
 * - `created`  connected, and does nothing yet
 * - `running`  after `run`
 * - `stopping` after `shutdown`, or when Temporal is lost for good: finishes what is in hand
 * - `stopped`  everything it has opened is closed
 * - `failed`   the same, after an error
 */
export type WorkerState = 'created' | 'running' | 'stopping' | 'stopped' | 'failed'

/** What `createWorker` makes a worker of. */
export interface WorkerParts {
  readonly consumers: readonly ReadyConsumer[]
  readonly workers: readonly Worker[]
  readonly watchdog: Watchdog
  /** Aborts when the worker begins to stop. */
  readonly watching: AbortController
  /** Closes what was opened. */
  readonly end: () => Promise<void>
  readonly draining: AbortController
  readonly stopped: AbortController
  readonly graceMs: number
  readonly listeners: Listeners
  readonly log: Log
  readonly monitoring: Pick<Monitoring, 'metrics' | 'url'>
  /** What is told of each consumer's partitions, while it runs. */
  readonly stories: readonly Pick<Story, 'begin' | 'end'>[]
}

/**
 * Runs a config's consumers in this process. Start it on as many machines as you like: they share the partitions. While it runs, it
 * keeps the groups of its config running: see `Watchdog`.
 */
export class TidemarkWorker {
  readonly #parts: WorkerParts
  #state: WorkerState = 'created'
  /** Ends what is still in hand some time after `shutdown`. */
  #patience: NodeJS.Timeout | undefined
  /** Its whole life, from `run` or an early `shutdown` on. */
  #life: Promise<void> | undefined

  /** Use `createWorker`. */
  constructor(parts: WorkerParts) {
    this.#parts = parts
  }

  get consumers(): readonly ReadyConsumer[] {
    return this.#parts.consumers
  }

  get state(): WorkerState {
    return this.#state
  }

  /** Its metrics, for a program that serves them by itself; null where neither `metrics` nor `serve` asked for them. */
  get metrics(): WorkerMetrics | null {
    return this.#parts.monitoring.metrics
  }

  /** Where `serve` serves `/livez`, `/readyz` and `/metrics`: `http://127.0.0.1:9464`; null where it does not. */
  get monitoredAt(): string | null {
    return this.#parts.monitoring.url
  }

  /** Calls `listener` at each such event from now on: see `WorkerEvents`. */
  on<E extends keyof WorkerEvents>(event: E, listener: WorkerEvents[E]): this {
    this.#parts.listeners.add(event, listener)
    return this
  }

  /**
   * Works until `shutdown`, and closes everything then. Resolves at once after a `shutdown` that came first. Rejects when Temporal is
   * lost for good.
   */
  run(): Promise<void> {
    this.#life ??= this.#work()
    return this.#life
  }

  /**
   * Takes no more work, lets each handler finish the chunk in hand, and hands the rest of its batch over at once. A chunk that
   * is not done after `shutdownTimeout` is rolled back. `run` resolves when that is done. A worker that never ran is closed.
   */
  shutdown(): void {
    if (this.#state === 'created') {
      this.#state = 'stopping'
      this.#life = this.#finish(releaseSdkWorkers(this.#parts.workers))
      // `run` returns the same promise, and reports the error.
      this.#life.catch(() => {})
    }
    if (this.#state !== 'running') return
    this.#state = 'stopping'
    const { workers, watching, draining, stopped, graceMs, log } = this.#parts
    log.info({}, 'stopping: finishes the chunks in hand, and hands the rest over')
    watching.abort()
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown()
    setTimeout(() => draining.abort(), pollsLinger).unref()
    this.#patience = setTimeout(() => stopped.abort(), pollsLinger + graceMs).unref()
  }

  async #work(): Promise<void> {
    const { workers, watchdog, watching } = this.#parts
    this.#state = 'running'
    const runs = workers.map((worker) => worker.run().finally(() => this.shutdown()))
    const watch = watchdog.run(watching.signal)
    this.#started()
    await this.#finish(
      Promise.allSettled(runs).then(async (outcomes) => {
        const tooLong = new Promise((resolve) => setTimeout(resolve, lastLookMayTake).unref())
        await Promise.race([watch, tooLong])
        const failed = outcomes.find((outcome) => outcome.status === 'rejected')
        if (failed) throw failed.reason
      }),
    )
  }

  #started(): void {
    const { consumers, stories, log, listeners } = this.#parts
    for (const { group, stream, partitions, version } of consumers)
      log.info({ group, stream, partitions, version }, `started: a worker of ${group} on ${stream}, config ${version}`)
    for (const story of stories) story.begin()
    listeners.tell('started')
  }

  /** Waits for the work to end, closes everything whatever comes of it, and says so. */
  async #finish(work: Promise<void>): Promise<void> {
    try {
      try {
        await work
      } finally {
        await this.#parts.end()
        for (const story of this.#parts.stories) story.end()
        // It would keep all of the worker for as long as it may take.
        clearTimeout(this.#patience)
      }
      this.#state = 'stopped'
      this.#parts.log.info({}, 'stopped')
      this.#parts.listeners.tell('stopped', null)
    } catch (error) {
      this.#state = 'failed'
      this.#parts.log.error({ error: messageOf(error) }, `stopped: ${messageOf(error)}`)
      this.#parts.listeners.tell('stopped', error instanceof Error ? error : new Error(messageOf(error)))
      throw error
    }
  }
}
