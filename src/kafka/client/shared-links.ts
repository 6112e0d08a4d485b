import { setMaxListeners } from 'node:events'
import { addressText } from '../../model/address.js'
import { BrokerLink } from './broker-link.js'
import type { Address, Connector } from './driver.js'
import type { Links } from './link-pool.js'

interface Shared {
  readonly opening: Promise<BrokerLink>
  /** There once it is connected. */
  link: BrokerLink | null
  /** Requests under way. */
  users: number
}

/** One connection to each broker, for requests that are answered at once. They are sent without waiting for one another. */
export class SharedLinks implements Links {
  readonly #current = new Map<string, Shared>()
  /** The current ones, and those that end with their last request. */
  readonly #all = new Set<Shared>()
  readonly #end = new AbortController()

  constructor(private readonly connector: Connector) {
    setMaxListeners(0, this.#end.signal)
  }

  get signal(): AbortSignal {
    return this.#end.signal
  }

  async use<T>(address: Address, work: (link: BrokerLink) => Promise<T>): Promise<T> {
    this.signal.throwIfAborted()
    const name = addressText(address)
    const known = this.#current.get(name)
    const shared = known && !known.link?.closed ? known : this.#connect(name, address)
    shared.users++
    try {
      return await work(await shared.opening)
    } catch (error) {
      // Other requests may still be answered over it.
      if (this.#current.get(name) === shared) this.#current.delete(name)
      throw error
    } finally {
      shared.users--
      await this.#tidy(name, shared)
    }
  }

  async keep(addresses: Iterable<Address>): Promise<void> {
    const names = new Set([...addresses].map(addressText))
    for (const [name, shared] of this.#current) {
      if (names.has(name)) continue
      this.#current.delete(name)
      await this.#tidy(name, shared)
    }
  }

  async close(): Promise<void> {
    this.#end.abort(new Error('the source was closed'))
    this.#current.clear()
    await Promise.all([...this.#all].map(({ link }) => link?.close()))
    this.#all.clear()
  }

  #connect(name: string, address: Address): Shared {
    const opening = BrokerLink.open(this.connector, address, this.signal)
    const shared: Shared = { opening, link: null, users: 0 }
    this.#current.set(name, shared)
    this.#all.add(shared)
    opening.then(
      (link) => {
        shared.link = link
      },
      () => {}, // told to every user
    )
    return shared
  }

  async #tidy(name: string, shared: Shared): Promise<void> {
    if (shared.users > 0 || this.#current.get(name) === shared) return
    this.#all.delete(shared)
    await shared.link?.close()
  }
}
