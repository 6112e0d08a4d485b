import { addressText } from '../../model/address.js'
import { TidemarkError } from '../../model/errors.js'
import { type Address, type Chunks, requests, type StartAt, type StreamInfo } from './driver.js'
import { notFound, Refused, rabbitmqError } from './failures.js'
import { Link, type Subscription } from './link.js'
import type { RabbitmqSettings } from './options.js'

/** The connections of one client: one to the broker in its config, and one to each broker that holds one of its streams. */
export class Links {
  readonly #links = new Map<string, Link[]>()
  /** Brokers that were heard of, by host and port. */
  readonly #heardOf = new Map<string, Address>()
  #partitions: readonly string[] | null = null
  #closed = false

  constructor(readonly settings: RabbitmqSettings) {}

  /** Names of the streams that are the partitions, in the broker's order. Throws STREAM_NOT_FOUND. */
  async partitions(): Promise<readonly string[]> {
    const { settings } = this
    const seed = await this.seed()
    if (settings.isSuper) {
      const { streams } = await seed.ask<{ streams: readonly string[] }>(requests.partitions(settings.name))
      if (streams.length === 0) throw notFound(settings)
      this.#partitions = streams
    } else {
      await this.#where(settings.name)
      this.#partitions = [settings.name]
    }
    return this.#partitions
  }

  /** Name of a partition's stream. */
  async nameOf(partition: number): Promise<string> {
    const names = this.#partitions?.[partition] === undefined ? await this.partitions() : this.#partitions
    const name = names[partition]
    if (name === undefined) throw notFound(this.settings, partition)
    return name
  }

  /** A connection to the broker that alone knows for sure how far a stream goes. A replica may have just begun to catch up. */
  async leaderOf(stream: string): Promise<Link> {
    return this.#at(await this.#where(stream, 'leader')).ready
  }

  async subscribe(
    stream: string,
    start: StartAt,
    chunks: Chunks = 'user',
    at: 'leader' | 'anywhere' = 'anywhere',
  ): Promise<Subscription> {
    const broker = await this.#where(stream, at)
    for (;;) {
      const link = await this.#at(broker).ready
      // Others may have waited for the same connection.
      if (link.hasRoom) return link.subscribe(stream, start, chunks)
    }
  }

  /** A connection to the broker in the config, or while that is not there to another one that was heard of. */
  async seed(): Promise<Link> {
    try {
      return await this.#at(this.settings).ready
    } catch (error) {
      // It is there, and says no.
      if (error instanceof Refused || error instanceof TidemarkError) throw error
      for (const other of this.#heardOf.values()) {
        const link = await this.#at(other).ready.catch(() => null)
        if (link) return link
      }
      throw error
    }
  }

  /** Ends all connections, those that are only being made, too. */
  close(): void {
    this.#closed = true
    for (const link of [...this.#links.values()].flat()) link.close()
    this.#links.clear()
  }

  /** A replica rather than the leader, who has enough to do; the broker we are connected to rather than any other. */
  async #where(stream: string, at: 'leader' | 'anywhere' = 'anywhere'): Promise<Address> {
    const seed = await this.seed()
    const { streamInfos } = await seed.ask<{ streamInfos: readonly StreamInfo[] }>(requests.metadata(stream))
    const info = streamInfos.find(({ streamName }) => streamName === stream)
    if (!info || info.responseCode === 2) throw rabbitmqError(new Refused(2), this.settings)
    if (info.responseCode !== 1) throw new Refused(info.responseCode)
    const { leader, replicas = [] } = info
    for (const { host, port } of leader ? [leader, ...replicas] : replicas)
      this.#heardOf.set(addressText({ host, port }), { host, port })
    const brokers = [...(at === 'leader' ? [] : replicas), ...(leader ? [leader] : [])]
    const [first] = brokers
    if (!first) throw new Error(`no broker ${at === 'leader' ? 'leads' : 'has'} stream '${stream}' now`)
    const own = seed.advertised
    if (own && brokers.some(({ host, port }) => host === own.host && port === own.port)) return seed.address
    return first
  }

  /** A connection with room for a subscription, perhaps one that somebody else is making. */
  #at({ host, port }: Address): Link {
    if (this.#closed) throw new Error('the client was closed')
    const key = addressText({ host, port })
    const links = (this.#links.get(key) ?? []).filter(({ alive }) => alive)
    let link = links.find(({ hasRoom }) => hasRoom)
    if (!link) {
      link = new Link({ host, port }, this.settings)
      links.push(link)
    }
    this.#links.set(key, links)
    return link
  }
}
