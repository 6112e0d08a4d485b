import { type Interrupt, interrupted } from './interrupt.js'

/**
 * Bounds how many handlers run at the same time: the consumer's option `concurrency`. First come, first served, over all batches of
 * a worker.
 */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /**
   * Waits for a slot, and resolves with a function that gives it back.
   *
   * @returns null where the interrupt was first
   */
  async take(interrupt: Interrupt): Promise<(() => void) | null> {
    if (this.#free > 0) {
      this.#free--
      return this.#giver()
    }
    let grant = () => {}
    const granted = new Promise<void>((resolve) => {
      grant = resolve
      this.#waiting.push(grant)
    })
    if ((await interrupt.or(granted)) !== interrupted) return this.#giver()
    const index = this.#waiting.indexOf(grant)
    if (index >= 0) this.#waiting.splice(index, 1)
    // It was granted in the same turn: the next one gets it.
    else this.#giveBack()
    return null
  }

  #giver(): () => void {
    let given = false
    return () => {
      if (!given) this.#giveBack()
      given = true
    }
  }

  #giveBack(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}
