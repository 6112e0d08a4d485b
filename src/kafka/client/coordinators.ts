import { TidemarkError } from '../../model/errors.js'
import { pause } from '../../reading/backoff.js'
import type { Brokers } from './brokers.js'
import type { Address, RequestName } from './driver.js'
import { codeName, groupDenied, groupMeaningOf } from './error-codes.js'
import { kafkaError, passing, whereOf } from './failures.js'
import type { Links } from './link-pool.js'
import type { KafkaSettings } from './options.js'

/** So often somebody who answers that they are not ready is asked again: some 15 seconds. */
const patience = 10
/** And so often when there is no answer at all: a broker that is gone leaves its groups to another one. */
const patienceUnanswered = 3

/** Repeating the request has to be harmless. */
interface Question<T> {
  /** What kafkajs has encoders for, or Tidemark. */
  readonly name: RequestName | OwnApi
  readonly args: object
  /** The error codes in an answer. Those that neither pass by nor deny everything are left to who asks. */
  readonly codes: (answer: T) => readonly number[]
}

/** A request that kafkajs has no encoder for, in the form in which it looks up versions. */
export interface OwnApi {
  readonly key: number
  readonly definition: object
}

/** Asks brokers about groups. Each group has one that coordinates it, and that can change. */
export class Coordinators {
  readonly #known = new Map<string, Address>()

  constructor(
    private readonly links: Links,
    readonly brokers: Brokers,
    private readonly settings: Pick<KafkaSettings, 'brokers' | 'sasl'>,
  ) {}

  /**
   * Asks the coordinator of a group, wherever that goes meanwhile.
   *
   * @throws TidemarkError UNREACHABLE or AUTH_FAILED
   */
  of<T>(group: string, question: Question<T>): Promise<T> {
    const ask = async () => {
      const coordinator = this.#known.get(group) ?? (await this.#find(group))
      this.#known.set(group, coordinator)
      return this.#send(coordinator, question)
    }
    return this.#persist(`group ${group}`, question, ask, () => this.#known.delete(group))
  }

  /** The same of a certain broker. */
  at<T>(broker: Address, question: Question<T>): Promise<T> {
    return this.#persist('the groups there', question, () => this.#send(broker, question))
  }

  async #persist<T>(what: string, { codes }: Question<T>, ask: () => Promise<T>, forget = () => {}): Promise<T> {
    for (let tries = 1; ; tries++) {
      let failure: TidemarkError
      let most = patience
      try {
        const answer = await ask()
        const code = codes(answer).find((code) => code === groupDenied || groupMeaningOf(code) === 'again')
        if (code === undefined) return answer
        failure = this.#refused(code, what)
      } catch (error) {
        failure = passing(kafkaError(error, this.settings))
        if (!(error instanceof TidemarkError)) most = patienceUnanswered
      }
      forget()
      if (failure.code === 'AUTH_FAILED' || tries >= most || this.links.signal.aborted) throw failure
      await pause(tries, this.links.signal)
    }
  }

  async #find(group: string): Promise<Address> {
    type Found = { errorCode: number; coordinator: Address }
    const { errorCode, coordinator } = await this.brokers.ask((link) =>
      link.call<Found>('GroupCoordinator', { groupId: group }),
    )
    if (errorCode !== 0) throw this.#refused(errorCode, `the coordinator of group ${group}`)
    return coordinator
  }

  #send<T>(broker: Address, { name, args }: Question<T>): Promise<T> {
    return this.links.use(broker, (link) =>
      typeof name === 'string' ? link.call<T>(name, args) : link.ask<T>(name.key, name.definition, args),
    )
  }

  #refused(code: number, what: string): TidemarkError {
    const text = `${whereOf(this.settings)} answered ${codeName(code)} for ${what}`
    if (groupMeaningOf(code) === 'denied')
      return new TidemarkError('AUTH_FAILED', `${text}: give this login the right to read and describe the group`)
    return new TidemarkError('UNREACHABLE', `${text}: it passes by itself as a rule`)
  }
}
