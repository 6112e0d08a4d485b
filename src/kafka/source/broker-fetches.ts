import { setMaxListeners } from 'node:events'
import type { Log } from '../../ports/index.js'
import { BrokerLink } from '../client/broker-link.js'
import type { Address, Connector } from '../client/driver.js'
import { kafkaError } from '../client/failures.js'
import { type Ask, OpenAsk } from './ask.js'
import type { FetchedPartition } from './fetch.js'
import { answersOf, firsts, type JointFetch, requestOf, split } from './joint-fetch.js'

/** Connections to one broker. With the watcher's two and the one for questions, a broker has eight of a source at most. */
export const mostLinks = 5
/** So many of them may be held open by long polls while there are more readers than connections. */
const mostPolls = 3
/** All long polls of that time end together, at every such tick, so that their partitions share one afterwards. Milliseconds. */
const tickMs = 200
/** Those beside the first end at shorter ticks, so that a reader that finds all polls under way soon has its turn. Milliseconds. */
const shortTickMs = 50
/** After a tick, the time in which the other polls end, too. */
const gatherMs = 5

/**
 * A connection:
 * - is free while it has no fetch; at most one fetch is under way on it, since a broker answers them in order
 * - is closed, and no longer among the connections, when its fetch fails
 * - is closed, too, when another fetch needs a connection and all readers that wait for this one's have left
 */
interface FetchLink {
  link: BrokerLink | null
  fetch: JointFetch | null
}

/**
 * Fetches from one broker for all readers. As long as there are enough connections, every reader has its own, with a long poll.
 * Behind that, readers at the end of their partitions share long polls, and those with something to fetch never wait in one.
 */
export class BrokerFetches {
  readonly #readers = new Set<object>()
  readonly #links = new Set<FetchLink>()
  #pending: OpenAsk[] = []
  #immediate: NodeJS.Immediate | null = null
  #timer: NodeJS.Timeout | null = null
  readonly #end = new AbortController()

  constructor(
    private readonly address: Address,
    private readonly connector: Connector,
    private readonly log: Log,
    private readonly open = BrokerLink.open,
  ) {
    setMaxListeners(0, this.#end.signal)
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
    if (this.#end.signal.aborted) open.fail(this.#end.signal.reason)
    if (!open.settled) this.#pending.push(open)
    if (this.#crowded) this.#schedule()
    // At once: a handler that does not let the event loop turn shall work while the broker does.
    else this.#send()
    return open.answered
  }

  async close(): Promise<void> {
    this.#end.abort(new Error('the source was closed'))
    if (this.#immediate) clearImmediate(this.#immediate)
    if (this.#timer) clearTimeout(this.#timer)
    for (const open of this.#pending.splice(0)) open.fail(this.#end.signal.reason)
    await Promise.all([...this.#links].map(({ link }) => link?.close()))
    this.#links.clear()
  }

  get #crowded(): boolean {
    return this.#readers.size > mostLinks
  }

  /** Sends what has gathered by the end of this turn of the event loop, or a little later. */
  #schedule(afterMs = 0): void {
    if (this.#end.signal.aborted || this.#immediate) return
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
    const polls = [...this.#links].filter(({ fetch }) => fetch && fetch.maxWaitMs > 0 && !abandoned(fetch)).length
    if (idle.length > 0 && polls < mostPolls)
      this.#begin({ asks: firsts(idle), maxWaitMs: this.#untilTick(polls === 0 ? tickMs : shortTickMs) })
    const there = this.#pending.filter(({ ask }) => ask.expects !== 'nothing')
    if (there.length > 0)
      for (const asks of split(there, Math.max(1, this.#available()))) if (!this.#begin({ asks, maxWaitMs: 0 })) break
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
    const at = this.#take()
    if (!at) return false
    at.fetch = fetch
    const asked = new Set(fetch.asks)
    this.#pending = this.#pending.filter((open) => !asked.has(open))
    void this.#run(at, fetch)
    return true
  }

  #available(): number {
    const taken = [...this.#links].filter(({ fetch }) => fetch && !abandoned(fetch)).length
    return mostLinks - taken
  }

  #take(): FetchLink | null {
    const links = [...this.#links]
    const free = links.find(({ fetch }) => fetch === null)
    if (free) return free
    if (links.length >= mostLinks) {
      const left = links.find(({ fetch }) => fetch && abandoned(fetch))
      if (!left) return null
      this.#links.delete(left)
      void left.link?.close()
    }
    const fresh = { link: null, fetch: null }
    this.#links.add(fresh)
    return fresh
  }

  async #run(at: FetchLink, fetch: JointFetch): Promise<void> {
    let again = false
    try {
      const { settings } = this.connector
      const link = await this.#connected(at)
      const raw = await link.fetch(settings.topic, requestOf(fetch, settings.rackId))
      const { answers, throttleMs } = answersOf(raw, fetch)
      if (throttleMs > 0) this.log.debug({ stream: settings.topic, throttleMs }, 'the broker throttles this client')
      again = this.#tell(answers)
    } catch (error) {
      this.#links.delete(at)
      for (const open of fetch.asks) if (!open.settled) open.fail(error)
      await at.link?.close()
    } finally {
      at.fetch = null
      this.#schedule(again ? gatherMs : 0)
    }
  }

  async #connected(at: FetchLink): Promise<BrokerLink> {
    if (at.link && !at.link.closed) return at.link
    try {
      const link = await this.open(this.connector, this.address, this.#end.signal)
      at.link = link
      // Given up meanwhile, by `close` or for another fetch.
      if (!this.#links.has(at)) {
        await link.close()
        throw new Error('the connection is no longer needed')
      }
      return link
    } catch (error) {
      throw kafkaError(error, this.connector.settings)
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

function abandoned({ asks }: JointFetch): boolean {
  return asks.every(({ settled }) => settled)
}
