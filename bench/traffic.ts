import { setTimeout as delay } from 'node:timers/promises'
import type { Topic } from './bench.js'
import type { Log } from './log.js'

/** Messages at an even pace, one partition after the other, until it is stopped. */
export class Traffic {
  readonly #sending: Promise<void>
  #stopped = false

  /** @param perSecond 0: none */
  constructor(log: Log, topic: Topic, perSecond: number) {
    this.#sending = perSecond > 0 ? this.#send(log, topic, perSecond) : Promise.resolve()
    // Told by `lasts` and `stop`.
    this.#sending.catch(() => {})
  }

  /** Resolves after so long, ms. Rejects at once when the broker has refused a message. */
  async lasts(ms: number): Promise<void> {
    const refused = this.#sending.then(() => delay(ms, undefined, { ref: false }))
    await Promise.race([delay(ms), refused])
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#sending
  }

  async #send(log: Log, { name, partitions }: Topic, perSecond: number): Promise<void> {
    const began = performance.now()
    for (let number = 0; !this.#stopped; number++) {
      await delay(Math.max(0, began + (number * 1000) / perSecond - performance.now()))
      await log.send(name, number % partitions, number)
    }
  }
}
