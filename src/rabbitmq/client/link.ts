import { type Address, type Chunks, requests, type StartAt, Wire } from './driver.js'
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
  /** Resolves when it is connected and logged in. Throws Refused, or what the network said; then nothing is left open. */
  readonly ready: Promise<this>
  readonly #wire: Wire
  readonly #subscriptions = new Map<number, Subscription>()
  readonly #heartbeat: NodeJS.Timeout
  #ready = false
  #ended: Error | null = null

  constructor(
    readonly address: Address,
    settings: RabbitmqSettings,
  ) {
    this.#wire = new Wire(address, settings, {
      deliver: (id, committed, chunk) => this.#subscriptions.get(id)?.deliver({ committed, chunk }),
      gone: (stream) => this.#gone(stream),
      unknown: (id, code) => this.#unknown(id, code),
      closed: (error) => this.#closed(error),
    })
    this.#heartbeat = setInterval(() => this.#beat(settings.heartbeatMs), settings.heartbeatMs)
    this.#heartbeat.unref()
    this.ready = this.#wire.open().then(
      () => {
        this.#ready = true
        return this
      },
      (error) => {
        this.close()
        throw error
      },
    )
    // Whoever waits for it is told.
    this.ready.catch(() => {})
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

  tell(request: object): void {
    this.#wire.tell(request)
  }

  /** Nothing comes before the first `next`. */
  async subscribe(stream: string, start: StartAt, chunks: Chunks = 'user'): Promise<Subscription> {
    const id = this.#freeId()
    const subscription = new Subscription(
      stream,
      (chunks) => this.#wire.credit(id, chunks),
      () => this.#wire.ask(requests.stats(stream)),
      () => this.#unsubscribe(id),
    )
    this.#subscriptions.set(id, subscription)
    try {
      await this.#wire.ask(requests.subscribe(id, stream, start, chunks))
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

  #unknown(id: number, code: number): void {
    const subscription = this.#subscriptions.get(id)
    this.#subscriptions.delete(id)
    subscription?.end(
      new StreamGone(`the broker knows the subscription to '${subscription.stream}' no more (code ${code})`),
    )
  }

  #closed(error: Error): void {
    this.#ended = error
    clearInterval(this.#heartbeat)
    for (const subscription of this.#subscriptions.values()) subscription.end(error)
    this.#subscriptions.clear()
  }

  #beat(everyMs: number): void {
    // The handshake has times of its own, and no place for heartbeats.
    if (!this.#ready) return
    const quiet = performance.now() - this.#wire.lastHeard
    if (quiet > everyMs * 2.5) this.#wire.end(new Error(`the broker has not been heard of for ${Math.round(quiet)} ms`))
    else this.#wire.heartbeat()
  }
}

/** Keeps what was asked for and has arrived, in the log's order, until somebody takes it. */
export class Subscription {
  readonly #arrived: Delivered[] = []
  /** Chunks asked for that have not arrived. */
  #due = 0
  /** Bytes that may still arrive. */
  #room = Number.POSITIVE_INFINITY
  /** The room is for what waits here, and becomes free again as it is taken. */
  #lingers = false
  #left = false
  #ended: Error | null = null
  #waiting: { resolve: (delivered: Delivered) => void; reject: (error: Error) => void } | null = null

  constructor(
    readonly stream: string,
    private readonly credit: (chunks: number) => void,
    /** Asks the broker anything; its answer comes behind what it has sent before. */
    private readonly ask: () => Promise<unknown>,
    private readonly unsubscribe: () => void,
  ) {}

  /** The chunk that `next` gives at once, if one has arrived. */
  get arrived(): Delivered | undefined {
    return this.#arrived[0]
  }

  /** Takes the chunk in `arrived`. */
  take(): Delivered | undefined {
    const delivered = this.#arrived.shift()
    if (delivered && this.#lingers) this.#room += delivered.chunk.length
    return delivered
  }

  /** Nothing has arrived, and nothing was asked for. */
  get idle(): boolean {
    return this.#due === 0 && this.#arrived.length === 0
  }

  /**
   * Asks for so many chunks. Nobody knows how large they are: the one that is more than `room` bytes let in is the last that
   * this subscription takes.
   */
  want(chunks: number, room: number): void {
    this.#due += chunks
    this.#room = room
    this.#lingers = false
    this.credit(chunks)
  }

  /**
   * The log has no more for the moment, though more was asked for: the one chunk that makes more than `room` bytes wait here is the last
   * that this subscription takes.
   */
  linger(room: number): void {
    this.#room = room
    this.#lingers = true
  }

  /** All that there was room for was taken; what comes behind it needs a new subscription. */
  get spent(): boolean {
    return this.#left && this.idle
  }

  /**
   * The next chunk; asks for one if none is due. Throws when the connection or the stream ends, or the signal aborts. Not for
   * concurrent calls.
   */
  async next(signal: AbortSignal): Promise<Delivered> {
    signal.throwIfAborted()
    const here = this.take()
    if (here) return here
    const coming = new Promise<Delivered>((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
    if (this.#ended) this.#waiting?.reject(this.#ended)
    else if (this.#due === 0) this.want(1, Number.POSITIVE_INFINITY)
    const onAbort = () => this.#waiting?.reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await coming
    } finally {
      this.#waiting = null
      signal.removeEventListener('abort', onAbort)
    }
  }

  /**
   * The next chunk if the log has one now, else null. The broker works a connection's requests one after another, so a chunk
   * that it has comes before the answer to a question asked behind the credit, however slow anybody is.
   */
  async here(): Promise<Delivered | null> {
    const answered = new AbortController()
    const next = this.next(answered.signal)
    next.catch(() => {})
    await this.ask()
    answered.abort()
    return next.catch((error) => {
      if (error === answered.signal.reason) return null
      throw error
    })
  }

  deliver(delivered: Delivered): void {
    if (this.#due === 0) return
    this.#due--
    // What somebody waits for does not wait here.
    if (!this.#lingers || !this.#waiting) this.#room -= delivered.chunk.length
    if (this.#room < 0 && this.#due > 0) {
      this.#due = 0
      this.#leave()
    }
    if (this.#waiting) this.#waiting.resolve(delivered)
    else this.#arrived.push(delivered)
    this.#waiting = null
  }

  end(error: Error): void {
    this.#ended ??= error
    this.#arrived.length = 0
    this.#due = 0
    this.#waiting?.reject(error)
  }

  close(): void {
    if (this.#ended) return
    this.end(new Error('the subscription was closed'))
    this.#leave()
  }

  /** Once: the number may be another subscription's afterwards. */
  #leave(): void {
    if (!this.#left) this.unsubscribe()
    this.#left = true
  }
}
