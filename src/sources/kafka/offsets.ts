import { TidemarkError } from '../../model/errors.js'
import { describePartition } from '../../model/partition.js'
import type { StartSpec } from '../../model/start.js'
import type { Bounds } from '../../ports.js'
import { BrokerLink, type Cluster } from './driver.js'
import { kafkaError, type Leaders } from './leaders.js'
import type { KafkaSettings } from './options.js'

/** ListOffsets' names for the ends of a partition. KIP-79. */
const first = -2
const head = -1
/** Isolation levels of ListOffsets: the high watermark, or the last stable offset. */
export const everything = 0
export const committed = 1

/** Looks up offsets, with one request per leader over one connection per leader. */
export class Offsets {
  readonly #links = new Map<number, Promise<BrokerLink>>()

  constructor(
    private readonly cluster: Cluster,
    private readonly leaders: Leaders,
    private readonly settings: KafkaSettings,
  ) {}

  async bounds(partitions: readonly number[]): Promise<Map<number, Bounds>> {
    const [firsts, heads] = await Promise.all([this.at(partitions, first), this.at(partitions, head)])
    return new Map(
      partitions.map((partition) => [partition, { first: firsts.get(partition)!, head: heads.get(partition)! }]),
    )
  }

  async resolve(partition: number, start: StartSpec): Promise<bigint> {
    const bounds = (await this.bounds([partition])).get(partition)!
    if (start === 'first') return bounds.first
    if (start === 'next') return bounds.head
    if (start === 'last') return bounds.head > bounds.first ? bounds.head - 1n : bounds.head
    if ('offset' in start) {
      if (start.offset >= bounds.first && start.offset <= bounds.head) return start.offset
      throw new TidemarkError(
        'OUT_OF_RANGE',
        `${describePartition({ stream: this.settings.topic, partition })}: start offset ${start.offset} is not in the log, which goes from ${bounds.first} to ${bounds.head}`,
        { place: { stream: this.settings.topic, partition, offset: String(start.offset) } },
      )
    }
    const found = (await this.at([partition], start.timestamp)).get(partition)!
    return found < 0n ? bounds.head : found
  }

  /** @param timestamp ms since 1970, or one of ListOffsets' names */
  async at(
    partitions: readonly number[],
    timestamp: number,
    isolation: 0 | 1 = everything,
  ): Promise<Map<number, bigint>> {
    try {
      return await this.#ask(partitions, timestamp, isolation)
    } catch {
      // A leader has moved, or its connection has broken: once more, where the cluster says now.
      await this.leaders.refresh()
      return this.#ask(partitions, timestamp, isolation).catch((error) => {
        throw kafkaError(error, this.settings)
      })
    }
  }

  /** The last stable offsets: how far a reader of committed data can read now. */
  readable(partitions: readonly number[]): Promise<Map<number, bigint>> {
    return this.at(partitions, head, this.settings.readUncommitted ? everything : committed)
  }

  async close(): Promise<void> {
    const links = [...this.#links.values()]
    this.#links.clear()
    await Promise.all(links.map((link) => link.then((open) => open.close()).catch(() => {})))
  }

  async #ask(partitions: readonly number[], timestamp: number, isolation: 0 | 1): Promise<Map<number, bigint>> {
    const found = new Map<number, bigint>()
    const byLeader = new Map<number, number[]>()
    for (const partition of partitions) {
      const leader = await this.leaders.of(partition)
      if (!leader) throw new Error(`partition ${partition} of ${this.settings.topic} has no leader at the moment`)
      byLeader.set(leader.nodeId, [...(byLeader.get(leader.nodeId) ?? []), partition])
    }
    await Promise.all(
      [...byLeader].map(async ([nodeId, theirs]) => {
        const link = await this.#link(nodeId, theirs[0]!)
        try {
          const asked = theirs.map((partition) => ({ partition, timestamp }))
          for (const [partition, offset] of await link.listOffsets(this.settings.topic, isolation, asked))
            found.set(partition, offset)
        } catch (error) {
          this.#links.delete(nodeId)
          await link.close()
          throw error
        }
      }),
    )
    return found
  }

  async #link(nodeId: number, partition: number): Promise<BrokerLink> {
    const known = this.#links.get(nodeId)
    if (known) return known
    const leader = (await this.leaders.of(partition))!
    const opening = this.#links.get(nodeId) ?? BrokerLink.open(this.cluster, leader)
    this.#links.set(nodeId, opening)
    opening.catch(() => this.#links.delete(nodeId))
    return opening
  }
}
