import { TidemarkError } from '../../model/errors.js'
import { pauseFor } from '../../model/pause.js'
import type { Log } from '../../ports/index.js'
import { pause } from '../../reading/backoff.js'
import { Outage } from '../../reading/outage.js'
import type { BrokerAddress } from '../client/driver.js'
import { codeError, kafkaError, passing } from '../client/failures.js'
import type { Leaders } from '../client/leaders.js'
import type { Links } from '../client/link-pool.js'
import type { KafkaSettings } from '../client/options.js'
import { longPoll } from './long-poll.js'
import type { Offsets } from './offsets.js'
import { type Waiter, Waiters } from './waiters.js'

/** Long polls to one broker at a time, each with a connection: one for most, one for those that have begun to wait since. */
const lanes = 2
/** All polls but one end early, so that the next partition that begins to wait finds a lane soon. Milliseconds. */
const smallPollMs = 100
/** Treat a retryable error as permanent after this many in a row. */
const patience = 8

interface Poll {
  /** How many partitions wait in it. */
  readonly waiting: number
  /** It ends early. */
  readonly small: boolean
}

/**
 * Watches partitions nobody reads at the moment. All that wait for one broker share a Fetch that the broker holds open until
 * one of them has something, so an idle partition costs next to nothing and a first message is noticed within ms.
 */
export class Watcher {
  readonly #waiters = new Waiters()
  readonly #outage: Outage
  /** Polls under way, by node. */
  readonly #polls = new Map<number, Poll[]>()
  readonly #end = new AbortController()
  #scheduled = false

  constructor(
    private readonly links: Links,
    private readonly leaders: Leaders,
    private readonly offsets: Offsets,
    private readonly settings: KafkaSettings,
    log: Log,
  ) {
    this.#outage = new Outage(log, { stream: settings.topic }, 'waiting for messages')
  }

  /**
   * True when there is something at `position`, or when reading there fails for good; false when `signal` aborts first, or
   * the source is closed.
   */
  async wait(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || this.#end.signal.aborted) return false
    const found = this.#waiters.join(partition, position, signal)
    this.#schedule()
    return found
  }

  close(): void {
    this.#end.abort()
    this.#waiters.clear()
  }

  /** One round for all that began to wait in the same turn of the event loop. */
  #schedule(): void {
    if (this.#scheduled || this.#waiters.size === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const fresh = this.#waiters.in('new')
      // Those that stand by need not wait for the answer about the new ones.
      const looking = fresh.length > 0 ? this.#look(fresh) : Promise.resolve()
      Promise.all([looking, this.#pollIdle()]).catch((error) =>
        this.#rest([...this.#waiters.in('idle'), ...fresh], error),
      )
    })
  }

  async #look(fresh: readonly Waiter[]): Promise<void> {
    for (const waiter of fresh) waiter.state = 'looking'
    const { readable, heads, failures } = await this.offsets.readable([...new Set(fresh.map((one) => one.partition))])
    const held: Waiter[] = []
    for (const waiter of fresh) {
      const { partition, position } = waiter
      const end = readable.get(partition)
      if (end === undefined) continue
      this.#worked(waiter)
      if (end === position) waiter.state = 'idle'
      // Behind somebody's open transaction, where a broker answers a long poll at once and with nothing.
      else if (end < position && position <= heads.get(partition)!) held.push(waiter)
      // Beyond the head means that the log was cut or made anew: reading there tells.
      else waiter.leave(true)
    }
    for (const [partition, failure] of failures)
      this.#rest(
        fresh.filter((one) => one.partition === partition),
        failure,
      )
    if (held.length > 0) void this.#hold(held)
    await this.#pollIdle()
  }

  async #pollIdle(): Promise<void> {
    const byLeader = new Map<number, { leader: BrokerAddress; waiters: Waiter[] }>()
    for (const waiter of this.#waiters.in('idle')) {
      const leader = await this.leaders.of(waiter.partition)
      if (!leader) this.#rest([waiter], codeError(5, this.settings, waiter.partition))
      else {
        const group = byLeader.get(leader.nodeId) ?? { leader, waiters: [] }
        group.waiters.push(waiter)
        byLeader.set(leader.nodeId, group)
      }
    }
    for (const { leader, waiters } of byLeader.values()) {
      const { nodeId } = leader
      const polls = this.#polls.get(nodeId) ?? []
      // Others may have come or gone meanwhile.
      const still = waiters.filter((waiter) => waiter.state === 'idle' && this.#waiters.has(waiter))
      if (polls.length >= lanes || still.length === 0) continue
      const small = polls.some((other) => !other.small || other.waiting > still.length)
      const poll: Poll = { waiting: still.length, small }
      this.#polls.set(nodeId, [...polls, poll])
      this.#poll(leader, still, small)
        .catch((error) => this.#rest(still, error))
        .finally(() => {
          const ended = this.#polls.get(nodeId)!
          this.#polls.set(nodeId, ended.toSpliced(ended.indexOf(poll), 1))
          this.#schedule()
        })
    }
  }

  async #poll(leader: BrokerAddress, waiters: readonly Waiter[], small: boolean): Promise<void> {
    for (const waiter of waiters) waiter.state = 'polled'
    const { fetchMaxWaitMs } = this.settings
    const maxWaitMs = small ? Math.min(smallPollMs, fetchMaxWaitMs) : fetchMaxWaitMs
    const outcomes = await this.links.use(leader, (link) => longPoll(link, waiters, maxWaitMs, this.settings))
    for (const [waiter, outcome] of outcomes) {
      if (outcome === 'found') waiter.leave(true)
      else if (outcome instanceof TidemarkError) this.#rest([waiter], outcome)
      else {
        this.#worked(waiter)
        waiter.state = outcome === 'nothing' ? 'idle' : 'new'
      }
    }
  }

  /** Waits for the end of other producers' transactions. */
  async #hold(waiters: readonly Waiter[]): Promise<void> {
    for (const waiter of waiters) waiter.state = 'resting'
    await pauseFor(this.settings.fetchMaxWaitMs, this.#end.signal)
    this.#again(waiters)
  }

  /** Tries again later, all of them together; lets them go when that has not helped for long. */
  #rest(waiters: readonly Waiter[], error: unknown): void {
    if (this.#end.signal.aborted || waiters.length === 0) return
    const failure: TidemarkError = passing(kafkaError(error, this.settings))
    // The pause is not the outage's: a partition that stays in trouble must not slow down the others.
    this.#outage.failed(failure)
    for (const waiter of waiters) {
      this.#waiters.failed(waiter)
      // Reading says what is wrong, and stops the partition with it.
      if (failure.effect === 'stop' && waiter.tries > patience) waiter.leave(true)
    }
    void this.#later(waiters, Math.max(...waiters.map(({ tries }) => tries)))
  }

  async #later(waiters: readonly Waiter[], tries: number): Promise<void> {
    await Promise.all([pause(tries, this.#end.signal), this.leaders.refresh().catch(() => {})])
    this.#again(waiters)
  }

  #again(waiters: readonly Waiter[]): void {
    for (const waiter of waiters) waiter.state = 'new'
    this.#schedule()
  }

  #worked(waiter: Waiter): void {
    if (this.#waiters.worked(waiter)) this.#outage.worked()
  }
}
