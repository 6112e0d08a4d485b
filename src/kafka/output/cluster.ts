import { messageOf, TidemarkError } from '../../model/errors.js'
import type { Log } from '../../ports/index.js'
import { pause } from '../../reading/backoff.js'
import { Brokers } from '../client/brokers.js'
import { type Address, Connector } from '../client/driver.js'
import { codeName, producerHintOf, producerMeaningOf } from '../client/error-codes.js'
import { kafkaError, passing } from '../client/failures.js'
import { Leaders } from '../client/leaders.js'
import { LinkPool } from '../client/link-pool.js'
import type { OutputSettings } from './options.js'
import { type Api, findCoordinator } from './protocol.js'

/** Concerns are in the hands of a broker each: those of a group, and those of a transactional id. */
export interface Coordinated {
  readonly kind: 'group' | 'transaction'
  readonly id: string
}

/** An answer that no repetition changes. */
export class Refused extends Error {
  constructor(
    readonly code: number,
    what: string,
  ) {
    super(`Kafka answered ${codeName(code)} for ${what}${producerHintOf(code)}`)
  }
}

/** The connections to one cluster, shared by all its producers, and what is known of who does what there. */
export class Cluster {
  readonly #links: LinkPool
  readonly #brokers: Brokers
  readonly #topics = new Map<string, Leaders>()
  readonly #coordinators = new Map<string, Promise<Address>>()

  constructor(
    readonly settings: OutputSettings,
    readonly log: Log,
  ) {
    this.#links = new LinkPool(new Connector(settings.connection, log))
    this.#brokers = new Brokers(this.#links, settings.connection)
  }

  /** Aborted by `close`. */
  get signal(): AbortSignal {
    return this.#links.signal
  }

  leaders(topic: string): Leaders {
    const known = this.#topics.get(topic)
    if (known) return known
    const leaders = new Leaders(this.#links, { ...this.settings.connection, topic })
    this.#topics.set(topic, leaders)
    return leaders
  }

  /** Whether any broker can be reached, and lets this client in. Throws UNREACHABLE or AUTH_FAILED. */
  async check(): Promise<void> {
    await this.#brokers.ask((link) => link.metadata(''))
  }

  /** One try; the answer's codes are the caller's to read. */
  ask<A extends object, R>(address: Address, { key, definition }: Api<A, R>, args: A): Promise<R> {
    return this.#links.use(address, (link) => link.ask<R>(key, definition, args))
  }

  /** The same of any broker. */
  askAny<A extends object, R>({ key, definition }: Api<A, R>, args: A): Promise<R> {
    return this.#brokers.ask((link) => link.ask<R>(key, definition, args))
  }

  /**
   * Asks whoever coordinates `of`, until the answer is one that will stay. Repeating any of these requests is harmless.
   *
   * @param lost called when a request got no answer: it may be carried out at any time from now on
   * @throws Refused; TidemarkError UNREACHABLE when nothing else came until the delivery timeout
   */
  async coordinate<A extends object, R extends { readonly code: number }>(
    of: Coordinated,
    api: Api<A, R>,
    args: A,
    { withinMs = this.settings.deliveryTimeoutMs, lost = () => {} } = {},
  ): Promise<R> {
    const until = performance.now() + withinMs
    const what = `${of.kind === 'group' ? 'group' : 'transactional id'} '${of.id}'`
    for (let tries = 1; ; tries++) {
      let problem: string
      // Ends of transactions are a matter of milliseconds, elections are not.
      let busy = false
      try {
        const answer = await this.ask(await this.#coordinator(of), api, args)
        if (producerMeaningOf(answer.code) === 'done') return answer
        if (producerMeaningOf(answer.code) !== 'again') throw new Refused(answer.code, what)
        problem = codeName(answer.code)
        busy = answer.code === 51 || answer.code === 88
      } catch (error) {
        if (error instanceof Refused || this.signal.aborted) throw error
        const known = passing(kafkaError(error, this.settings.connection))
        if (known.code === 'AUTH_FAILED') throw known
        problem = messageOf(error)
        lost()
      }
      if (!busy) this.#coordinators.delete(`${of.kind} ${of.id}`)
      if (performance.now() > until)
        throw new TidemarkError('UNREACHABLE', `${what}: its coordinator did not do its part in time (${problem})`)
      // Doubling from a tenth of the usual pause: 2 to 5 ms at first.
      await pause(busy ? Math.min(tries, 6) - 4 : tries, this.signal)
    }
  }

  async close(): Promise<void> {
    await this.#links.close()
  }

  #coordinator(of: Coordinated): Promise<Address> {
    const name = `${of.kind} ${of.id}`
    let known = this.#coordinators.get(name)
    if (!known) {
      known = this.#find(of)
      this.#coordinators.set(name, known)
      known.catch(() => this.#coordinators.delete(name))
    }
    return known
  }

  async #find(of: Coordinated): Promise<Address> {
    const { code, host, port } = await this.askAny(findCoordinator, of)
    if (producerMeaningOf(code) === 'done') return { host, port }
    if (producerMeaningOf(code) === 'again') throw new Error(codeName(code))
    throw new Refused(code, `${of.kind} '${of.id}'`)
  }
}
