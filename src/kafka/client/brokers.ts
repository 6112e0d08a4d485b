import { addressText, hostAndPort } from '../../model/address.js'
import { TidemarkError } from '../../model/errors.js'
import type { BrokerLink } from './broker-link.js'
import type { Address } from './driver.js'
import { kafkaError, passing } from './failures.js'
import type { Links } from './link-pool.js'
import type { KafkaSettings } from './options.js'

/** A cluster's brokers, for questions that any of them can answer. */
export class Brokers {
  #known: readonly Address[] = []

  constructor(
    private readonly links: Links,
    private readonly settings: Pick<KafkaSettings, 'brokers' | 'sasl'> & { readonly topic?: string },
  ) {}

  /** Notes where the cluster's brokers are, as one of them said. They are asked before those of the config. */
  know(brokers: Iterable<Address>): void {
    this.#known = [...brokers]
    void this.links.keep?.(this.#known)
  }

  /**
   * The first answer there is.
   *
   * @throws TidemarkError UNREACHABLE or AUTH_FAILED
   */
  async ask<T>(work: (link: BrokerLink) => Promise<T>): Promise<T> {
    const addresses = new Map<string, Address>()
    for (const address of this.#known) addresses.set(addressText(address), address)
    for (const broker of this.settings.brokers) {
      const address = hostAndPort(broker)
      const id = addressText(address)
      if (!addresses.has(id)) addresses.set(id, address)
    }
    let failure: TidemarkError | null = null
    for (const address of addresses.values()) {
      try {
        return await this.links.use(address, work)
      } catch (error) {
        failure = kafkaError(error, this.settings)
        // The next broker would refuse the same login. It may show another certificate.
        if (passing(failure).code === 'AUTH_FAILED' || this.links.signal.aborted) break
      }
    }
    throw failure ?? new TidemarkError('UNREACHABLE', 'the source was closed')
  }
}
