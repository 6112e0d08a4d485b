import type { Bounds } from '../../ports/index.js'
import type { BrokerAddress } from '../client/driver.js'
import type { EpochEnd } from '../client/leader-epochs.js'
import type { Leaders } from '../client/leaders.js'
import type { KafkaSettings } from '../client/options.js'
import { noEpoch } from '../client/topic-metadata.js'
import type { Ask } from './ask.js'
import type { BrokerFetches } from './broker-fetches.js'
import type { Epochs } from './epochs.js'
import type { FetchedPartition } from './fetch.js'
import type { FetchLinks } from './fetch-links.js'
import type { CheckedLink } from './log-check.js'
import type { Offsets } from './offsets.js'

/** One reader's way to whichever broker leads its partition now. */
export class PartitionLink implements CheckedLink {
  #broker: BrokerFetches | null = null
  #leader: BrokerAddress | null = null
  #leaderEpoch = noEpoch
  #replica: number | null = null
  readonly #end = new AbortController()

  constructor(
    private readonly links: FetchLinks,
    private readonly leaders: Leaders,
    private readonly offsets: Offsets,
    private readonly epochs: Epochs,
    private readonly partition: number,
  ) {}

  get settings(): KafkaSettings {
    return this.links.settings
  }

  /**
   * The partition's answer to one Fetch; null when the broker only said that it throttles. Throws while the partition has no
   * leader.
   *
   * @throws TidemarkError UNREACHABLE, AUTH_FAILED or STREAM_NOT_FOUND
   */
  async fetch(ask: Omit<Ask, 'partition' | 'leaderEpoch'>): Promise<FetchedPartition | null> {
    const broker = await this.#find()
    this.#end.signal.throwIfAborted()
    return broker.fetch({ ...ask, partition: this.partition, leaderEpoch: this.#leaderEpoch }, this.#end.signal)
  }

  get leaderEpoch(): number | null {
    return this.#broker && this.#leaderEpoch
  }

  /** @throws as `fetch` */
  async findLeader(): Promise<number> {
    await this.#find()
    return this.#leaderEpoch
  }

  get atFollower(): boolean {
    return this.#replica !== null
  }

  async endOf(epoch: number): Promise<EpochEnd | null> {
    await this.#find()
    return this.epochs.endOf(this.#leader!, this.#question(epoch))
  }

  async epochAt(offset: bigint): Promise<number | null> {
    await this.#find()
    return this.epochs.at(this.#leader!, this.#question(noEpoch), offset)
  }

  /** @throws TidemarkError UNREACHABLE, AUTH_FAILED or STREAM_NOT_FOUND */
  async bounds(): Promise<Bounds> {
    return (await this.offsets.bounds([this.partition])).get(this.partition)!
  }

  /** Goes on at a replica that the leader has named, until something fails there; false when nobody knows it. KIP-392. */
  async prefer(nodeId: number): Promise<boolean> {
    if (!this.leaders.broker(nodeId)) return false
    this.#leave()
    this.#replica = nodeId
    return true
  }

  /** Forgets the broker and asks who leads. */
  async leaderMoved(): Promise<void> {
    this.#leave()
    this.#replica = null
    await this.leaders.refresh()
  }

  /** For good: what is under way is rejected. */
  close(): void {
    this.#end.abort(new Error('the reader was closed'))
    this.#leave()
  }

  async #find(): Promise<BrokerFetches> {
    if (this.#broker) return this.#broker
    const replica = this.#replica === null ? null : this.leaders.broker(this.#replica)
    const leader = await this.leaders.of(this.partition)
    if (!leader) throw new Error(`partition ${this.partition} has no leader at the moment`)
    this.#leader = leader
    this.#leaderEpoch = this.leaders.epochOf(this.partition)
    const broker = this.links.to(replica ?? leader)
    if (this.#end.signal.aborted) return broker
    broker.join(this)
    this.#broker = broker
    return broker
  }

  #question(epoch: number) {
    return { partition: this.partition, leaderEpoch: this.#leaderEpoch, epoch }
  }

  #leave(): void {
    this.#broker?.leave(this)
    this.#broker = null
  }
}
