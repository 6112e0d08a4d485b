import { longestTimer } from '../model/pause.js'

/** What was fetched, as a reader hands it out. */
interface Fetched {
  /** Gives back what it takes. */
  drop(): void
}

/** Keeps at most one fetch under way, whether somebody waits for it or not. */
export class FetchAhead<F extends Fetched> {
  #ahead: Promise<F | null> | null = null
  #ended = false
  /** Ends the wait that is under way. */
  #interrupt: (() => void) | null = null

  constructor(private readonly fetch: () => Promise<F | null>) {}

  /** Begins the next fetch, unless one is under way. */
  begin(): void {
    void this.#begun()
  }

  /** The fetch under way, or null when it takes longer than `waitMs`; then it stays under way for the next call. */
  async arrival(waitMs: number): Promise<F | null> {
    if (this.#ended) return null
    const ahead = this.#begun()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      this.#interrupt = () => resolve('late')
      timer = setTimeout(this.#interrupt, Math.min(Math.max(0, waitMs), longestTimer))
    })
    try {
      const first = await Promise.race([ahead, late])
      // What comes after the end is given back there.
      if (first === 'late' || this.#ended) return null
      this.#ahead = null
      return first
    } catch (error) {
      this.#ahead = null
      if (this.#ended) return null
      throw error
    } finally {
      this.#interrupt = null
      clearTimeout(timer)
    }
  }

  /** Ends the wait for it. What is still under way is given back when it comes; resolves then. */
  async end(): Promise<void> {
    this.#ended = true
    this.#interrupt?.()
    const fetched = await this.#ahead?.catch(() => null)
    fetched?.drop()
  }

  #begun(): Promise<F | null> {
    if (this.#ahead === null) {
      this.#ahead = this.fetch()
      // Thrown to whoever asks for it next, which may be nobody.
      this.#ahead.catch(() => {})
    }
    return this.#ahead
  }
}
