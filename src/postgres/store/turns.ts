import { within } from '../client/waiting.js'

/** How long a cursor or a COPY may take to end after the handler has returned, ms: their streams close by themselves, but not at once. */
const closingTime = 5_000

/**
 * When the statements of one chunk are sent. None before the transaction has begun: where BEGIN fails, what is sent right behind it would
 * be committed by itself. Then they share the connection's pipeline, until something comes that can't: from there on they go one by one.
 */
export class Turns {
  readonly #begun: Promise<unknown>
  readonly #pending = new Set<Promise<void>>()
  #oneByOne = false
  /** Those that keep the connection for themselves, and have not ended. */
  #alone = 0
  /** What the next one waits for; null where it is sent at once. It is not sent where this fails. */
  #before: Promise<unknown> | null

  /**
   * @param begun settles with the transaction's beginning
   * @param stopPipelining called once, when everything in the pipeline has been answered
   */
  constructor(
    begun: Promise<unknown>,
    private readonly stopPipelining: () => void,
  ) {
    this.#begun = begun
    this.#before = begun
    // Comes before what waits, and nothing comes between: what is sent at once keeps its place behind what waited.
    const open = () => {
      if (!this.#oneByOne) this.#before = null
    }
    this.track(begun.then(open, noop))
  }

  /** Sends in turn. Its answer need not come before the next one is sent, unless they go one by one. */
  take<T>(send: () => Promise<T>): Promise<T> {
    if (this.#before === null) return send()
    const sent = this.#before.then(send)
    if (this.#oneByOne) this.#before = this.#after(sent)
    return sent
  }

  /** The same, for what keeps the connection until it has ended. */
  takeAlone(send: () => Promise<void>): Promise<void> {
    this.#alone++
    return this.take(send).finally(() => this.#alone--)
  }

  /** What is in the pipeline is answered first, then the connection works as one without. */
  oneByOne(): void {
    if (this.#oneByOne) return
    this.#oneByOne = true
    this.#before = this.#after(Promise.allSettled(this.#pending)).then(this.stopPipelining)
    this.#before.catch(noop)
  }

  /** Something keeps the connection for itself. */
  get busy(): boolean {
    return this.#alone > 0
  }

  /** `settled` waits for it, too. */
  track(ended: Promise<void>): void {
    this.#pending.add(ended)
    void ended.finally(() => this.#pending.delete(ended))
  }

  /** Resolves when everything has been answered. False: something keeps the connection, though it has had time to end. */
  async settled(): Promise<boolean> {
    const deadline = performance.now() + closingTime
    while (this.#pending.size > 0) {
      const all = Promise.allSettled(this.#pending).then(() => true)
      if (!this.busy) await all
      else if (!(await within(all, deadline - performance.now()))) return false
    }
    return true
  }

  /** Settles when that has, and fails where there is no transaction. */
  #after(ended: Promise<unknown>): Promise<unknown> {
    const after = ended.then(noop, noop).then(() => this.#begun)
    after.catch(noop)
    return after
  }
}

function noop(): void {}
