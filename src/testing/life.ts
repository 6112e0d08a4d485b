/**
 * One worker's life, from its start to its end. A worker that is killed is gone for everybody: what its activities do from then on
 * reaches neither Temporal nor a database, and Temporal tries them again when their heartbeat timeout is over.
 *
 *   alive -> killed  `kill`
 */
export class Life {
  #killed = false
  #kill: () => void = () => {}
  readonly #end = new Promise<never>((_, reject) => {
    this.#kill = () => reject(new WorkerKilled())
  })

  constructor() {
    // Nobody may be waiting for it.
    this.#end.catch(() => {})
  }

  get killed(): boolean {
    return this.#killed
  }

  kill(): void {
    this.#killed = true
    this.#kill()
  }

  /** What `doing` resolves with, unless the worker is killed first. */
  async unlessKilled<T>(doing: Promise<T>): Promise<T> {
    const done = await Promise.race([doing, this.#end])
    this.require()
    return done
  }

  /** @throws WorkerKilled */
  require(): void {
    if (this.#killed) throw new WorkerKilled()
  }

  /** A client of a part of the outside world, which a killed worker does not reach any more. */
  severable<T extends object>(client: T): T {
    return new Proxy(client, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value === 'object' && value !== null) return this.severable(value)
        if (typeof value !== 'function' || name === 'close')
          return typeof value === 'function' ? value.bind(target) : value
        return (...args: unknown[]) => {
          this.require()
          return Reflect.apply(value, target, args)
        }
      },
    })
  }
}

/** What a killed worker does fails with this, and nobody hears of it. */
export class WorkerKilled extends Error {
  constructor() {
    super('the worker was killed')
  }
}
