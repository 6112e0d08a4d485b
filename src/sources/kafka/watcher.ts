import { messageOf } from '../../model/errors.js'
import type { Log } from '../../ports.js'
import { Backoff } from './backoff.js'
import { type BrokerAddress, BrokerLink, type Cluster } from './driver.js'
import { readFetchResponse } from './fetch.js'
import type { Leaders } from './leaders.js'
import type { Offsets } from './offsets.js'
import type { KafkaSettings } from './options.js'

interface Waiter {
  readonly partition: number
  readonly position: bigint
  readonly found: () => void
  /** The long poll it is part of. */
  poll: Poll | null
  looked: boolean
}

interface Poll {
  readonly link: BrokerLink
}

/** Long polls to one broker at a time: a partition that begins to wait gets one at once, and joins the others afterwards. */
const lanes = 3
const betweenRounds = new AbortController().signal

/**
 * Watches partitions nobody reads at the moment. All that wait for one broker share a Fetch that the broker holds open until
 * one of them has something, so an idle partition costs next to nothing and a first message is noticed within ms.
 */
export class Watcher {
  readonly #waiters = new Set<Waiter>()
  readonly #idle = new Map<number, BrokerLink[]>()
  readonly #busy = new Map<number, number>()
  readonly #backoff = new Backoff()
  #scheduled = false
  #failing = false
  #closed = false

  constructor(
    private readonly cluster: Cluster,
    private readonly leaders: Leaders,
    private readonly offsets: Offsets,
    private readonly settings: KafkaSettings,
    private readonly log: Log,
  ) {}

  /** True when there is something at `position`, or the log does not have it; false when `signal` aborts first. */
  async wait(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || this.#closed) return false
    return new Promise((resolve) => {
      const leave = (result: boolean) => {
        this.#waiters.delete(waiter)
        signal.removeEventListener('abort', onAbort)
        resolve(result)
      }
      const onAbort = () => leave(false)
      const waiter: Waiter = { partition, position, found: () => leave(true), poll: null, looked: false }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
      this.#schedule()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const links = [...this.#idle.values()].flat()
    const polling = [...this.#waiters].map(({ poll }) => poll?.link).filter((link) => link !== undefined)
    this.#idle.clear()
    await Promise.all([...new Set([...links, ...polling])].map((link) => link.close()))
  }

  /** One round for all that began to wait in the same turn of the event loop. */
  #schedule(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#round().catch((error) => this.#failed(error))
    })
  }

  async #round(): Promise<void> {
    const fresh = [...this.#waiters].filter(({ looked }) => !looked)
    if (fresh.length > 0) {
      const readable = await this.offsets.readable([...new Set(fresh.map(({ partition }) => partition))])
      for (const waiter of fresh) {
        waiter.looked = true
        // Beyond the head means that the log was cut or made anew: reading there tells.
        if (readable.get(waiter.partition)! !== waiter.position) waiter.found()
      }
    }
    this.#recovered()
    const byLeader = new Map<number, { leader: BrokerAddress; waiters: Waiter[] }>()
    for (const waiter of this.#waiters) {
      if (waiter.poll || !waiter.looked) continue
      const leader = await this.leaders.of(waiter.partition)
      if (!leader)
        throw new Error(`partition ${waiter.partition} of ${this.settings.topic} has no leader at the moment`)
      const group = byLeader.get(leader.nodeId) ?? { leader, waiters: [] }
      group.waiters.push(waiter)
      byLeader.set(leader.nodeId, group)
    }
    for (const { leader, waiters } of byLeader.values()) {
      const busy = this.#busy.get(leader.nodeId) ?? 0
      if (busy >= lanes) continue
      this.#busy.set(leader.nodeId, busy + 1)
      this.#poll(leader, waiters)
        .catch((error) => this.#failed(error))
        .finally(() => {
          this.#busy.set(leader.nodeId, this.#busy.get(leader.nodeId)! - 1)
          if (this.#waiters.size > 0) this.#schedule()
        })
    }
  }

  async #poll(leader: BrokerAddress, waiters: readonly Waiter[]): Promise<void> {
    const link = this.#idle.get(leader.nodeId)?.pop() ?? (await BrokerLink.open(this.cluster, leader))
    const poll: Poll = { link }
    for (const waiter of waiters) waiter.poll = poll
    // Two that wait for one partition ask for the lower position; the other one looks again.
    const lowest = new Map<number, bigint>()
    for (const { partition, position } of waiters)
      if (!(lowest.get(partition)! <= position)) lowest.set(partition, position)
    try {
      const raw = await link.fetch(this.settings.topic, this.settings, {
        maxWaitMs: this.settings.fetchMaxWaitMs,
        // The answer is only looked at: one batch of one partition is the least a broker sends.
        maxBytes: 1,
        partitions: [...lowest].map(([partition, from]) => ({ partition, from, maxBytes: 1 })),
      })
      const { partitions } = readFetchResponse(raw)
      const ready = new Set(
        partitions
          .filter(({ records, errorCode }) => records.length > 0 || errorCode === 1)
          .map(({ partition }) => partition),
      )
      const moved = partitions.some(({ errorCode }) => errorCode !== 0 && errorCode !== 1)
      for (const waiter of waiters) {
        waiter.poll = null
        // One answer names one partition; the others that have something are found by looking, at once.
        if (ready.size > 0) waiter.looked = false
        if (ready.has(waiter.partition) && waiter.position === lowest.get(waiter.partition)) waiter.found()
      }
      if (this.#closed) await link.close()
      else this.#idle.set(leader.nodeId, [...(this.#idle.get(leader.nodeId) ?? []), link])
      if (moved) throw new Error('a partition has moved to another broker')
    } catch (error) {
      for (const waiter of waiters) waiter.poll = null
      await link.close()
      throw error
    }
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#closed) return
    if (!this.#failing)
      this.log.warn(
        { stream: this.settings.topic, error: messageOf(error) },
        'waiting for messages is interrupted; trying again',
      )
    this.#failing = true
    for (const waiter of this.#waiters) waiter.looked = false
    await this.#backoff.pause(betweenRounds)
    await this.leaders.refresh().catch(() => {})
    if (this.#waiters.size > 0) this.#schedule()
  }

  #recovered(): void {
    if (this.#failing) this.log.info({ stream: this.settings.topic }, 'waiting for messages goes on')
    this.#failing = false
    this.#backoff.reset()
  }
}
