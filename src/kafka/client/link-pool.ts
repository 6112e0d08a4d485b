import { setMaxListeners } from 'node:events'
import { addressText } from '../../model/address.js'
import { BrokerLink } from './broker-link.js'
import type { Address, Connector } from './driver.js'

/** Where requests find a connection to a broker. */
export interface Links {
  /** Aborted by `close`. */
  readonly signal: AbortSignal
  /** Runs `work` over a connection to that broker. One on which `work` fails is not used again. */
  use<T>(address: Address, work: (link: BrokerLink) => Promise<T>): Promise<T>
  /** Forgets connections to other addresses: a broker that the config calls by another name would have two. */
  keep?(addresses: Iterable<Address>): Promise<void>
  /** Ends all connections; what is under way is rejected. */
  close(): Promise<void>
}

/** One connection for every request under way, kept for the next requests. */
export class LinkPool implements Links {
  readonly #idle = new Map<string, BrokerLink[]>()
  readonly #open = new Set<BrokerLink>()
  readonly #end = new AbortController()

  constructor(private readonly connector: Connector) {
    // Every connection that is being made listens to it.
    setMaxListeners(0, this.#end.signal)
  }

  get signal(): AbortSignal {
    return this.#end.signal
  }

  async use<T>(address: Address, work: (link: BrokerLink) => Promise<T>): Promise<T> {
    const link = this.#takeIdle(address) ?? (await this.#connect(address))
    try {
      const result = await work(link)
      const name = addressText(address)
      if (!this.signal.aborted) this.#idle.set(name, [...(this.#idle.get(name) ?? []), link])
      return result
    } catch (error) {
      this.#open.delete(link)
      await link.close()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#end.abort(new Error('the source was closed'))
    this.#idle.clear()
    await Promise.all([...this.#open].map((link) => link.close()))
    this.#open.clear()
  }

  #takeIdle(address: Address): BrokerLink | null {
    const links = this.#idle.get(addressText(address)) ?? []
    for (let link = links.pop(); link; link = links.pop()) {
      if (!link.closed) return link
      this.#open.delete(link)
    }
    return null
  }

  async #connect(address: Address): Promise<BrokerLink> {
    const link = await BrokerLink.open(this.connector, address, this.signal)
    this.#open.add(link)
    if (this.signal.aborted) await link.close()
    return link
  }
}
