import { BrokerLink } from './broker-link.js'
import type { Connector } from './driver.js'
import { kafkaError } from './failures.js'
import type { Leaders } from './leaders.js'
import type { KafkaSettings } from './options.js'

/** The connection of one reader to whichever broker leads its partition now: its long polls delay nobody else. */
export class PartitionLink {
  #link: BrokerLink | null = null
  #replica: number | null = null
  readonly #end = new AbortController()

  constructor(
    private readonly connector: Connector,
    private readonly leaders: Leaders,
    private readonly partition: number,
  ) {}

  get settings(): KafkaSettings {
    return this.connector.settings
  }

  /**
   * Connects where there is no connection yet. Throws while the partition has no leader.
   *
   * @throws TidemarkError UNREACHABLE, AUTH_FAILED or STREAM_NOT_FOUND
   */
  async open(): Promise<BrokerLink> {
    if (this.#link && !this.#link.closed) return this.#link
    const replica = this.#replica === null ? null : this.leaders.broker(this.#replica)
    const broker = replica ?? (await this.leaders.of(this.partition))
    if (!broker) throw new Error(`partition ${this.partition} has no leader at the moment`)
    try {
      const link = await BrokerLink.open(this.connector, broker, this.#end.signal)
      if (this.#end.signal.aborted) {
        await link.close()
        throw this.#end.signal.reason
      }
      this.#link = link
      return link
    } catch (error) {
      throw kafkaError(error, this.settings)
    }
  }

  /** Goes on at a replica that the leader has named, until something fails there; false when nobody knows it. KIP-392. */
  async prefer(nodeId: number): Promise<boolean> {
    if (!this.leaders.broker(nodeId)) return false
    await this.#disconnect()
    this.#replica = nodeId
    return true
  }

  /** Forgets the broker and asks who leads. */
  async leaderMoved(): Promise<void> {
    this.#replica = null
    await this.#disconnect()
    await this.leaders.refresh()
  }

  /** For good: what is under way is rejected. */
  async close(): Promise<void> {
    this.#end.abort(new Error('the reader was closed'))
    await this.#disconnect()
  }

  async #disconnect(): Promise<void> {
    const link = this.#link
    this.#link = null
    await link?.close()
  }
}
