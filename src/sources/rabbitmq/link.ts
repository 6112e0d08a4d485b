import { type Address, requests, type StartAt, Wire } from './driver.js'
import type { RabbitmqSettings } from './options.js'

/** A chunk as it came, not checked yet, and the last chunk that the log had then. */
export interface Delivered {
  readonly chunk: Buffer
  readonly committed: bigint
}

/** The broker ended a subscription: the stream was deleted, or lives elsewhere now. */
export class StreamGone extends Error {
  override readonly name = 'StreamGone'
}

/** The protocol numbers subscriptions with one byte. */
const mostSubscriptions = 200

/** One connection, shared by the subscriptions to the streams of its broker. */
export class Link {
  readonly #wire: Wire
  readonly #subscriptions = new Map<number, Subscription>()
  readonly #heartbeat: NodeJS.Timeout
  #ended: Error | null = null

  private constructor(address: Address, settings: RabbitmqSettings) {
    this.#wire = new Wire(address, settings, {
      deliver: (id, committed, chunk) => this.#subscriptions.get(id)?.deliver({ committed, chunk }),
      gone: (stream) => this.#gone(stream),
      closed: (error) => this.#closed(error),
    })
    this.#heartbeat = setInterval(() => this.#beat(settings.heartbeatMs), settings.heartbeatMs)
    this.#heartbeat.unref()
  }

  /** Connects and logs in. Throws Refused, or what the network said; then nothing is left open. */
  static async open(address: Address, settings: RabbitmqSettings): Promise<Link> {
    const link = new Link(address, settings)
    try {
      await link.#wire.open()
      return link
    } catch (error) {
      link.close()
      throw error
    }
  }

  get alive(): boolean {
    return this.#ended === null
  }

  get hasRoom(): boolean {
    return this.#subscriptions.size < mostSubscriptions
  }

  get advertised(): Address | null {
    return this.#wire.advertised
  }

  ask<A>(request: object): Promise<A> {
    return this.#wire.ask<A>(request)
  }

  /** Nothing comes before the first `next`. */
  async subscribe(stream: string, start: StartAt): Promise<Subscription> {
    const id = this.#freeId()
    const subscription = new Subscription(
      stream,
      () => this.#wire.credit(id),
      () => this.#unsubscribe(id),
    )
    this.#subscriptions.set(id, subscription)
    try {
      await this.#wire.ask(requests.subscribe(id, stream, start))
      return subscription
    } catch (error) {
      this.#subscriptions.delete(id)
      throw error
    }
  }

  close(): void {
    this.#wire.end(new Error('the connection was closed'))
  }

  #freeId(): number {
    for (let id = 0; id < 256; id++) if (!this.#subscriptions.has(id)) return id
    throw new Error('the connection has no room for another subscription')
  }

  /** The number stays taken until the broker has answered: chunks may still be on their way. */
  #unsubscribe(id: number): void {
    if (!this.alive) return
    this.#wire.ask(requests.unsubscribe(id)).then(
      () => this.#subscriptions.delete(id),
      () => this.#subscriptions.delete(id),
    )
  }

  #gone(stream: string): void {
    for (const [id, subscription] of this.#subscriptions) {
      if (subscription.stream !== stream) continue
      this.#subscriptions.delete(id)
      subscription.end(new StreamGone(`the broker has ended the subscription: '${stream}' was deleted or has moved`))
    }
  }

  #closed(error: Error): void {
    this.#ended = error
    clearInterval(this.#heartbeat)
    for (const subscription of this.#subscriptions.values()) subscription.end(error)
    this.#subscriptions.clear()
  }

  #beat(everyMs: number): void {
    const quiet = performance.now() - this.#wire.lastHeard
    if (quiet > everyMs * 2.5) this.#wire.end(new Error(`the broker has not been heard of for ${Math.round(quiet)} ms`))
    else this.#wire.heartbeat()
  }
}

/** Asks for chunks one at a time, so that never more than one is on its way. */
export class Subscription {
  #ended: Error | null = null
  #asked = false
  #waiting: { resolve: (delivered: Delivered) => void; reject: (error: Error) => void } | null = null

  constructor(
    readonly stream: string,
    private readonly credit: () => void,
    private readonly unsubscribe: () => void,
  ) {}

  /** The next chunk. Throws when the connection or the stream ends, or the signal aborts. Not for concurrent calls. */
  async next(signal: AbortSignal): Promise<Delivered> {
    signal.throwIfAborted()
    const coming = new Promise<Delivered>((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
    if (this.#ended) this.#waiting?.reject(this.#ended)
    else if (!this.#asked) {
      this.#asked = true
      this.credit()
    }
    const onAbort = () => this.#waiting?.reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await coming
    } finally {
      this.#waiting = null
      signal.removeEventListener('abort', onAbort)
    }
  }

  deliver(delivered: Delivered): void {
    this.#asked = false
    this.#waiting?.resolve(delivered)
  }

  end(error: Error): void {
    this.#ended ??= error
    this.#waiting?.reject(error)
  }

  close(): void {
    if (this.#ended) return
    this.end(new Error('the subscription was closed'))
    this.unsubscribe()
  }
}
