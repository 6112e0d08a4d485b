import { setMaxListeners } from 'node:events'
import { BrokerLink } from '../client/broker-link.js'
import type { Address, Connector } from '../client/driver.js'
import { kafkaError } from '../client/failures.js'
import type { JointFetch } from './joint-fetch.js'

/** Connections to one broker. With the watcher's two and the one for questions, a broker has eight of a source at most. */
export const mostLinks = 5

/**
 * A connection:
 * - is free while it has no fetch; at most one fetch is under way on it, since a broker answers them in order
 * - is closed, and no longer among the connections, when its fetch fails
 * - is closed, too, when another fetch needs a connection and all readers that wait for this one's have left
 */
export interface Connection {
  link: BrokerLink | null
  fetch: JointFetch | null
}

/** The connections to one broker that readers' fetches are spread over. */
export class BrokerConnections {
  readonly #all = new Set<Connection>()
  readonly #end = new AbortController()

  constructor(
    private readonly address: Address,
    private readonly connector: Connector,
    private readonly open = BrokerLink.open,
  ) {
    setMaxListeners(0, this.#end.signal)
  }

  /** Aborted by `close`. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Fetches under way whose answers are still wanted. */
  get fetches(): JointFetch[] {
    return [...this.#all].flatMap(({ fetch }) => (fetch && !abandoned(fetch) ? [fetch] : []))
  }

  /** How many more fetches could begin now. */
  get available(): number {
    return mostLinks - this.fetches.length
  }

  /** A connection with `fetch` on it, or null when all are in use. */
  take(fetch: JointFetch): Connection | null {
    const all = [...this.#all]
    const free = all.find((one) => one.fetch === null)
    if (free) {
      free.fetch = fetch
      return free
    }
    if (all.length >= mostLinks) {
      const left = all.find((one) => one.fetch && abandoned(one.fetch))
      if (!left) return null
      void this.drop(left)
    }
    const fresh = { link: null, fetch }
    this.#all.add(fresh)
    return fresh
  }

  /** @throws TidemarkError UNREACHABLE or AUTH_FAILED */
  async linkOf(connection: Connection): Promise<BrokerLink> {
    if (connection.link && !connection.link.closed) return connection.link
    try {
      const link = await this.open(this.connector, this.address, this.signal)
      connection.link = link
      // Given up meanwhile, by `close` or for another fetch.
      if (!this.#all.has(connection)) {
        await link.close()
        throw new Error('the connection is no longer needed')
      }
      return link
    } catch (error) {
      throw kafkaError(error, this.connector.settings)
    }
  }

  async drop(connection: Connection): Promise<void> {
    this.#all.delete(connection)
    await connection.link?.close()
  }

  async close(): Promise<void> {
    this.#end.abort(new Error('the source was closed'))
    await Promise.all([...this.#all].map(({ link }) => link?.close()))
    this.#all.clear()
  }
}

function abandoned({ asks }: JointFetch): boolean {
  return asks.every(({ settled }) => settled)
}
