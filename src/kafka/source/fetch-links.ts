import { addressText } from '../../model/address.js'
import type { Log } from '../../ports/index.js'
import type { Address, Connector } from '../client/driver.js'
import type { KafkaSettings } from '../client/options.js'
import { BrokerFetches } from './broker-fetches.js'

/** The connections that a topic's readers share, by broker. */
export class FetchLinks {
  readonly #brokers = new Map<string, BrokerFetches>()

  constructor(
    private readonly connector: Connector,
    private readonly log: Log,
  ) {}

  get settings(): KafkaSettings {
    return this.connector.settings
  }

  to(address: Address): BrokerFetches {
    const name = addressText(address)
    const broker = this.#brokers.get(name) ?? new BrokerFetches(address, this.connector, this.log)
    this.#brokers.set(name, broker)
    return broker
  }

  async close(): Promise<void> {
    await Promise.all([...this.#brokers.values()].map((broker) => broker.close()))
  }
}
