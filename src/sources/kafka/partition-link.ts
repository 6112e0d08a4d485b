import { BrokerLink, type Cluster } from './driver.js'
import type { Leaders } from './leaders.js'
import type { KafkaSettings } from './options.js'

/** The connection of one reader to whichever broker leads its partition now. */
export class PartitionLink {
  #link: BrokerLink | null = null

  constructor(
    private readonly cluster: Cluster,
    private readonly leaders: Leaders,
    readonly settings: KafkaSettings,
    private readonly partition: number,
  ) {}

  /** Connects to the leader where there is no connection yet. Throws while the partition has none. */
  async open(): Promise<BrokerLink> {
    if (this.#link && !this.#link.closed) return this.#link
    const leader = await this.leaders.of(this.partition)
    if (!leader) throw new Error(`partition ${this.partition} has no leader at the moment`)
    this.#link = await BrokerLink.open(this.cluster, leader)
    return this.#link
  }

  /** Forgets the broker and asks who leads. What the cluster answers, or that it does not, is for the next `open` to find out. */
  async leaderMoved(): Promise<void> {
    await this.close()
    await this.leaders.refresh()
  }

  async close(): Promise<void> {
    const link = this.#link
    this.#link = null
    await link?.close()
  }
}
