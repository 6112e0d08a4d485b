import type pg from 'pg'
import { pauseFor } from '../../model/pause.js'
import type { Outage } from '../../reading/outage.js'
import { ask } from '../client/ask.js'
import { lookTimeout, type SafePosition } from './safe-position.js'
import type { UncountedEvents } from './uncounted-events.js'

interface Waiting {
  readonly partition: number
  readonly position: bigint
  readonly arrived: () => void
}

/** While somebody appends, its end is likely near; the pause grows towards the longest one when it is not. */
const shortPause = 15
const longestShortPause = 250
/** How often partitions that wait are looked at for events that the sequence knows nothing of, ms. */
const lookForUncountedEvery = 10_000

/** Wakes those who wait for events at a partition's end. However many wait, one look answers all of them. */
export class Arrivals {
  readonly #waiting = new Set<Waiting>()
  #looking = false
  #hinted = false
  #lookedForUncounted = Number.NEGATIVE_INFINITY
  #interrupt = () => {}

  constructor(
    private readonly pool: pg.Pool,
    private readonly stream: string,
    /** Qualified name of the table. */
    private readonly events: string,
    private readonly safe: SafePosition,
    private readonly uncounted: UncountedEvents,
    private readonly outage: Outage,
    private readonly pollInterval: number,
    /** Ends all waiting. */
    private readonly closed: AbortSignal,
  ) {}

  /** Resolves with true once an event at or beyond `position` can be read, with false when a signal aborts. */
  wait(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || this.closed.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      const end = (arrived: boolean) => {
        this.#waiting.delete(waiting)
        for (const one of [signal, this.closed]) one.removeEventListener('abort', leave)
        resolve(arrived)
      }
      const leave = () => end(false)
      const waiting: Waiting = { partition, position, arrived: () => end(true) }
      this.#waiting.add(waiting)
      for (const one of [signal, this.closed]) one.addEventListener('abort', leave, { once: true })
      this.hint()
      void this.#watch()
    })
  }

  /** Something may have arrived: look now. */
  hint(): void {
    this.#hinted = true
    this.#interrupt()
  }

  async #watch(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    let short = shortPause
    let before = -1n
    while (this.#waiting.size > 0 && !this.closed.aborted) {
      this.#hinted = false
      let restMs = this.pollInterval
      try {
        const { safe, taken } = await this.safe.look()
        this.#tellOfSetBack(taken)
        await this.#tell(safe)
        await this.#tellOfUncounted()
        this.outage.worked()
        short = safe > before ? shortPause : Math.min(short * 2, longestShortPause)
        before = safe
        if (safe < taken) restMs = Math.min(restMs, short)
      } catch (error) {
        if (this.closed.aborted) break
        restMs = this.outage.failed(error)
      }
      if (this.#waiting.size > 0) await this.#rest(restMs)
    }
    this.#looking = false
  }

  /** Who waits beyond the log's next position would wait until others have filled what is missing, and pass it over. */
  #tellOfSetBack(taken: bigint): void {
    for (const { position, arrived } of [...this.#waiting]) if (position > taken + 1n) arrived()
  }

  /** Whoever reads there says what is wrong: `UncountedEvents.refuse`. */
  async #tellOfUncounted(): Promise<void> {
    const now = performance.now()
    if (this.#waiting.size === 0 || now - this.#lookedForUncounted < lookForUncountedEvery) return
    this.#lookedForUncounted = now
    const found = await this.uncounted.look([...new Set([...this.#waiting].map(({ partition }) => partition))])
    for (const { partition, arrived } of [...this.#waiting]) if (found.has(partition)) arrived()
  }

  async #tell(safe: bigint): Promise<void> {
    const asking = [...this.#waiting].filter(({ position }) => position <= safe)
    if (asking.length === 0) return
    const rows = await ask<{ n: string }>(
      this.pool,
      `select w.n from unnest($2::int[], $3::bigint[]) with ordinality w (partition, position, n)
       where exists (select from ${this.events} e where e.stream = $1 and e.partition = w.partition
         and e.position >= w.position and e.position <= $4)`,
      [
        this.stream,
        asking.map(({ partition }) => partition),
        asking.map(({ position }) => String(position)),
        String(safe),
      ],
      { within: lookTimeout },
    )
    for (const { n } of rows) asking[Number(n) - 1]!.arrived()
  }

  async #rest(ms: number): Promise<void> {
    if (this.#hinted) return
    const interrupted = new AbortController()
    const end = () => interrupted.abort()
    this.#interrupt = end
    this.closed.addEventListener('abort', end, { once: true })
    await pauseFor(ms, interrupted.signal)
    this.closed.removeEventListener('abort', end)
    this.#interrupt = () => {}
  }
}
