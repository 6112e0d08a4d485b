import { setImmediate as turn } from 'node:timers/promises'

interface Waiting<T, R> {
  readonly item: T
  readonly resolve: (result: R) => void
  readonly reject: (error: unknown) => void
}

/**
 * Collects what is wanted of a group, in the same turn or while a request for others is under way, so that hundreds of
 * partitions share a request.
 */
export class Gather<T, R> {
  readonly #waiting = new Map<string, Waiting<T, R>[]>()

  /** @param handle gets one call at a time for each group; returns one result, or error, for each item */
  constructor(private readonly handle: (group: string, items: readonly T[]) => Promise<readonly (R | Error)[]>) {}

  /** Asked after this call, never with a request that was under way before. */
  add(group: string, item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(group)
      if (waiting) waiting.push({ item, resolve, reject })
      else {
        this.#waiting.set(group, [{ item, resolve, reject }])
        void this.#work(group)
      }
    })
  }

  async #work(group: string): Promise<void> {
    for (;;) {
      await turn()
      const batch = this.#waiting.get(group)!
      if (batch.length === 0) break
      this.#waiting.set(group, [])
      try {
        const items = batch.map(({ item }) => item)
        const results = await this.handle(group, items)
        for (const [index, { resolve, reject }] of batch.entries()) {
          const result = results[index]
          if (result instanceof Error) reject(result)
          else resolve(result as R)
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#waiting.delete(group)
  }
}
