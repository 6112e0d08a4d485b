import type { ByteBudget, ByteLoan } from '../ports/index.js'

interface Waiting {
  readonly bytes: number
  readonly grant: () => void
}

/**
 * The memory that all partitions of a worker share. First come, first served, so that a large demand is not starved by
 * small ones.
 */
export class SharedBudget implements ByteBudget {
  /** Bytes. */
  readonly total: number
  #free: number
  readonly #queue: Waiting[] = []

  /** @param total bytes */
  constructor(total: number) {
    this.total = total
    this.#free = total
  }

  /** Bytes lent out now. May exceed the total: a fetch may bring one message larger than what was asked. */
  get used(): number {
    return this.total - this.#free
  }

  take(bytes: number, signal: AbortSignal): Promise<ByteLoan> {
    const wanted = Math.min(bytes, this.total)
    if (signal.aborted) return Promise.reject(signal.reason)
    const isFree = this.#queue.length === 0 && wanted <= this.#free
    if (isFree || wanted === 0) return Promise.resolve(this.#lend(wanted))
    return new Promise((resolve, reject) => {
      const give = () => {
        signal.removeEventListener('abort', leave)
        resolve(this.#lend(wanted))
      }
      const waiting: Waiting = { bytes: wanted, grant: give }
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1)
        reject(signal.reason)
        this.#serve()
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#queue.push(waiting)
    })
  }

  #lend(bytes: number): ByteLoan {
    this.#free -= bytes
    let lent = bytes
    let open = true
    const change = (to: number) => {
      this.#free += lent - to
      lent = to
      this.#serve()
    }
    return {
      resize: (to) => {
        if (open) change(to)
      },
      release: () => {
        if (open) change(0)
        open = false
      },
    }
  }

  #serve(): void {
    while (this.#queue.length > 0 && this.#queue[0]!.bytes <= this.#free) this.#queue.shift()!.grant()
  }
}
