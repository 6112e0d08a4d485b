import { setTimeout as sleep } from 'node:timers/promises'
import type { TidemarkError } from '../../model/errors.js'
import type { Log } from '../../ports/index.js'
import { pause } from '../../reading/backoff.js'
import { readerMeaningOf } from '../client/error-codes.js'
import { codeError, kafkaError } from '../client/failures.js'
import type { BrokerAddress, Leaders } from '../client/leaders.js'
import type { Links } from '../client/link-pool.js'
import type { KafkaSettings } from '../client/options.js'
import { readFetchResponse } from './fetch.js'
import type { Offsets } from './offsets.js'

/**
 * - `new`      nobody has looked yet whether there is something
 * - `looking`  its partition's offsets are asked for
 * - `idle`     it stands where its partition ends, and is part of the next long poll
 * - `polled`   it is part of a long poll
 * - `resting`  it is looked at again after a pause
 */
type State = 'new' | 'looking' | 'idle' | 'polled' | 'resting'

interface Waiter {
  readonly partition: number
  readonly position: bigint
  readonly leave: (found: boolean) => void
  state: State
  /** Failures in a row. */
  tries: number
}

/** Long polls to one broker at a time, each with a connection: one for most, one for those that have begun to wait since. */
const lanes = 2
/** The smaller poll ends early, so that the next partition that begins to wait finds a lane soon. Milliseconds. */
const smallPollMs = 100
/** So often an answer that retrying may mend is believed to be final. */
const patience = 8

/**
 * Watches partitions nobody reads at the moment. All that wait for one broker share a Fetch that the broker holds open until
 * one of them has something, so an idle partition costs next to nothing and a first message is noticed within ms.
 */
export class Watcher {
  readonly #waiters = new Set<Waiter>()
  readonly #troubled = new Set<Waiter>()
  /** Long polls under way: how many partitions wait in each, by node. */
  readonly #polls = new Map<number, number[]>()
  readonly #end = new AbortController()
  #scheduled = false

  constructor(
    private readonly links: Links,
    private readonly leaders: Leaders,
    private readonly offsets: Offsets,
    private readonly settings: KafkaSettings,
    private readonly log: Log,
  ) {}

  /**
   * True when there is something at `position`, or when reading there fails for good; false when `signal` aborts first, or
   * the source is closed.
   */
  async wait(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || this.#end.signal.aborted) return false
    return new Promise((resolve) => {
      const onAbort = () => waiter.leave(false)
      const leave = (found: boolean) => {
        this.#waiters.delete(waiter)
        this.#troubled.delete(waiter)
        signal.removeEventListener('abort', onAbort)
        resolve(found)
      }
      const waiter: Waiter = { partition, position, leave, state: 'new', tries: 0 }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
      this.#schedule()
    })
  }

  close(): void {
    this.#end.abort()
    for (const waiter of this.#waiters) waiter.leave(false)
  }

  /** One round for all that began to wait in the same turn of the event loop. */
  #schedule(): void {
    if (this.#scheduled || this.#waiters.size === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const fresh = this.#in('new')
      // Those that stand by need not wait for the answer about the new ones.
      const looking = fresh.length > 0 ? this.#look(fresh) : Promise.resolve()
      Promise.all([looking, this.#pollIdle()]).catch((error) => this.#rest([...this.#in('idle'), ...fresh], error))
    })
  }

  #in(state: State): Waiter[] {
    return [...this.#waiters].filter((waiter) => waiter.state === state)
  }

  async #look(fresh: readonly Waiter[]): Promise<void> {
    for (const waiter of fresh) waiter.state = 'looking'
    const { readable, heads, failures } = await this.offsets.readable([...new Set(fresh.map((one) => one.partition))])
    const held: Waiter[] = []
    for (const waiter of fresh) {
      const { partition, position } = waiter
      const end = readable.get(partition)
      if (end === undefined) continue
      this.#recovered(waiter)
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
    if (held.length > 0) this.#hold(held)
    await this.#pollIdle()
  }

  async #pollIdle(): Promise<void> {
    const byLeader = new Map<number, { leader: BrokerAddress; waiters: Waiter[] }>()
    for (const waiter of this.#in('idle')) {
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
      this.#polls.set(nodeId, [...polls, still.length])
      const small = polls.some((others) => others > still.length)
      this.#poll(leader, still, small)
        .catch((error) => this.#rest(still, error))
        .finally(() => {
          const ended = this.#polls.get(nodeId)!
          this.#polls.set(nodeId, ended.toSpliced(ended.indexOf(still.length), 1))
          this.#schedule()
        })
    }
  }

  async #poll(leader: BrokerAddress, waiters: readonly Waiter[], small: boolean): Promise<void> {
    for (const waiter of waiters) waiter.state = 'polled'
    // Two that wait for one partition ask for the lower position; the other one looks again.
    const lowest = new Map<number, bigint>()
    for (const { partition, position } of waiters)
      if (!(lowest.get(partition)! <= position)) lowest.set(partition, position)
    const { topic, fetchMaxWaitMs, readUncommitted } = this.settings
    const request = {
      maxWaitMs: small ? Math.min(smallPollMs, fetchMaxWaitMs) : fetchMaxWaitMs,
      // The answer is only looked at: one batch of one partition is the least a broker sends.
      maxBytes: 1,
      rackId: '',
      partitions: [...lowest].map(([partition, from]) => ({ partition, from, maxBytes: 1 })),
    }
    const { partitions } = readFetchResponse(await this.links.use(leader, (link) => link.fetch(topic, request)))
    const answers = new Map(partitions.map((answer) => [answer.partition, answer]))
    for (const waiter of waiters) {
      const answer = answers.get(waiter.partition)
      const code = answer?.errorCode ?? 0
      const ready = (answer?.records.length ?? 0) > 0 || readerMeaningOf(code) === 'range'
      // The answer brings the records of one partition, but says of each how far it can be read.
      const end = answer && code === 0 ? (readUncommitted ? answer.highWatermark : answer.lastStableOffset) : null
      if ((ready && waiter.position === lowest.get(waiter.partition)) || (end !== null && end > waiter.position))
        waiter.leave(true)
      else if (code !== 0 && !ready) this.#rest([waiter], codeError(code, this.settings, waiter.partition))
      else {
        this.#recovered(waiter)
        waiter.state = end === waiter.position ? 'idle' : 'new'
      }
    }
  }

  /** Waits for the end of other producers' transactions. */
  #hold(waiters: readonly Waiter[]): void {
    for (const waiter of waiters) waiter.state = 'resting'
    sleep(this.settings.fetchMaxWaitMs, undefined, { signal: this.#end.signal }).then(
      () => this.#again(waiters),
      () => {}, // closed
    )
  }

  /** Tries again later, all of them together; lets them go when that has not helped for long. */
  #rest(waiters: readonly Waiter[], error: unknown): void {
    if (this.#end.signal.aborted || waiters.length === 0) return
    const failure: TidemarkError = kafkaError(error, this.settings)
    if (this.#troubled.size === 0)
      this.log.warn(
        { stream: this.settings.topic, error: failure.message },
        'waiting for messages is interrupted; trying again',
      )
    for (const waiter of waiters) {
      waiter.state = 'resting'
      waiter.tries++
      if (this.#waiters.has(waiter)) this.#troubled.add(waiter)
      // Reading says what is wrong, and stops the partition with it.
      if (failure.effect === 'stop' && waiter.tries > patience) waiter.leave(true)
    }
    const tries = Math.max(...waiters.map((waiter) => waiter.tries))
    void this.#later(waiters, tries)
  }

  async #later(waiters: readonly Waiter[], tries: number): Promise<void> {
    await Promise.all([pause(tries, this.#end.signal), this.leaders.refresh().catch(() => {})])
    this.#again(waiters)
  }

  #again(waiters: readonly Waiter[]): void {
    for (const waiter of waiters) waiter.state = 'new'
    this.#schedule()
  }

  #recovered(waiter: Waiter): void {
    waiter.tries = 0
    if (this.#troubled.delete(waiter) && this.#troubled.size === 0)
      this.log.info({ stream: this.settings.topic }, 'waiting for messages goes on')
  }
}
