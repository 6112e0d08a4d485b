import type { Log } from '../../ports/index.js'
import type { BrokerLink } from '../client/broker-link.js'
import type { Address, Connector } from '../client/driver.js'
import { type Ask, OpenAsk } from './ask.js'
import { BrokerConnections, type Connection, mostLinks } from './broker-connections.js'
import type { FetchedPartition } from './fetch.js'
import { answersOf, firsts, type JointFetch, requestOf, split } from './joint-fetch.js'

/** So many connections may be held open by long polls while there are more readers than connections. */
const mostPolls = 3
/** All long polls of that time end together, at every such tick, so that their partitions share one afterwards. Milliseconds. */
const tickMs = 200
/** Those beside the first end at shorter ticks, so that a reader that finds all polls under way soon has its turn. Milliseconds. */
const shortTickMs = 50
/** After a tick, the time in which the other polls end, too. */
const gatherMs = 5

/**
 * Fetches from one broker for all readers. As long as there are enough connections, every reader has its own, with a long poll.
 * Behind that, readers at the end of their partitions share long polls, and those with something to fetch never wait in one.
 */
export class BrokerFetches {
  readonly #readers = new Set<object>()
  readonly #connections: BrokerConnections
  #pending: OpenAsk[] = []
  #immediate: NodeJS.Immediate | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(
    address: Address,
    private readonly connector: Connector,
    private readonly log: Log,
    open?: typeof BrokerLink.open,
  ) {
    this.#connections = new BrokerConnections(address, connector, open)
  }

  /** Counts a reader among those that may ask. */
  join(reader: object): void {
    this.#readers.add(reader)
  }

  leave(reader: object): void {
    this.#readers.delete(reader)
  }

  /**
   * The partition's answer; null when the broker only said that it throttles: the next request then waits by itself. Rejects
   * when `signal` aborts.
   */
  fetch(ask: Ask, signal: AbortSignal): Promise<FetchedPartition | null> {
    const open = new OpenAsk(ask, signal)
    const { signal: end } = this.#connections
    if (end.aborted) open.fail(end.reason)
    if (!open.settled) this.#pending.push(open)
    if (this.#crowded) this.#schedule()
    // At once: a handler that does not let the event loop turn shall work while the broker does.
    else this.#send()
    return open.answered
  }

  async close(): Promise<void> {
    if (this.#immediate) clearImmediate(this.#immediate)
    if (this.#timer) clearTimeout(this.#timer)
    const closed = this.#connections.close()
    for (const open of this.#pending.splice(0)) open.fail(this.#connections.signal.reason)
    await closed
  }

  get #crowded(): boolean {
    return this.#readers.size > mostLinks
  }

  /** Sends what has gathered by the end of this turn of the event loop, or a little later. */
  #schedule(afterMs = 0): void {
    if (this.#connections.signal.aborted || this.#immediate) return
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const send = () => {
      this.#immediate = null
      this.#timer = null
      this.#send()
    }
    if (afterMs > 0) this.#timer = setTimeout(send, afterMs)
    else this.#immediate = setImmediate(send)
  }

  #send(): void {
    this.#pending = this.#pending.filter(({ settled }) => !settled)
    if (!this.#crowded) {
      for (const open of [...this.#pending])
        if (!this.#begin({ asks: [open], maxWaitMs: this.#ownWait(open.ask) })) break
      return
    }
    const idle = this.#pending.filter(({ ask }) => ask.expects === 'nothing')
    const polls = this.#connections.fetches.filter(({ maxWaitMs }) => maxWaitMs > 0).length
    if (idle.length > 0 && polls < mostPolls)
      this.#begin({ asks: firsts(idle), maxWaitMs: this.#untilTick(polls === 0 ? tickMs : shortTickMs) })
    const there = this.#pending.filter(({ ask }) => ask.expects !== 'nothing')
    if (there.length > 0)
      for (const asks of split(there, Math.max(1, this.#connections.available)))
        if (!this.#begin({ asks, maxWaitMs: 0 })) break
  }

  /** How long a reader with a connection of its own waits. */
  #ownWait({ expects }: Ask): number {
    // Many readers that start together shall not find the connections taken by the first of them, for nothing.
    if (expects === 'unseen') return 0
    const { fetchMaxWaitMs } = this.connector.settings
    // Nor shall the next reader that comes, for long.
    return this.#readers.size === mostLinks ? Math.min(fetchMaxWaitMs, this.#untilTick(tickMs)) : fetchMaxWaitMs
  }

  /** Starts a fetch where a connection is to be had. */
  #begin(fetch: JointFetch): boolean {
    const connection = this.#connections.take(fetch)
    if (!connection) return false
    const asked = new Set(fetch.asks)
    this.#pending = this.#pending.filter((open) => !asked.has(open))
    void this.#run(connection, fetch)
    return true
  }

  async #run(connection: Connection, fetch: JointFetch): Promise<void> {
    let again = false
    try {
      const { settings } = this.connector
      const link = await this.#connections.linkOf(connection)
      const raw = await link.fetch(settings.topic, requestOf(fetch, settings.rackId))
      const { answers, throttleMs } = answersOf(raw, fetch)
      if (throttleMs > 0) this.log.debug({ stream: settings.topic, throttleMs }, 'the broker throttles this client')
      again = this.#tell(answers)
    } catch (error) {
      const dropped = this.#connections.drop(connection)
      for (const open of fetch.asks) if (!open.settled) open.fail(error)
      await dropped
    } finally {
      connection.fetch = null
      this.#schedule(again ? gatherMs : 0)
    }
  }

  /** Hands out the answers. True when none of them says anything new. */
  #tell(answers: readonly (readonly [OpenAsk, FetchedPartition | Error | null])[]): boolean {
    let nothing = true
    for (const [open, answer] of answers) {
      if (open.settled) continue
      if (this.#crowded && this.#saysNothing(open, answer)) {
        this.#pending.push(open)
        continue
      }
      nothing = false
      if (answer instanceof Error) open.fail(answer)
      else open.answer(answer)
    }
    return nothing
  }

  /** A neighbour's news has ended the long poll, or a tick: its reader need not know, for as long as a poll of its own takes. */
  #saysNothing({ ask, since }: OpenAsk, answer: FetchedPartition | Error | null): boolean {
    const { fetchMaxWaitMs, readUncommitted } = this.connector.settings
    if (ask.expects !== 'nothing' || !answer || answer instanceof Error) return false
    const { errorCode, preferredReplica, records, highWatermark, lastStableOffset } = answer
    if (errorCode !== 0 || preferredReplica >= 0 || records.length > 0) return false
    return (
      (readUncommitted ? highWatermark : lastStableOffset) === ask.from && performance.now() - since < fetchMaxWaitMs
    )
  }

  #untilTick(ms: number): number {
    const tick = Math.min(ms, this.connector.settings.fetchMaxWaitMs)
    const left = Math.ceil(tick - (performance.now() % tick))
    // A poll that ended at once would be a busy loop.
    return left < tick / 4 ? left + tick : left
  }
}
