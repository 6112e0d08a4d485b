import { TidemarkError } from '../../model/errors.js'
import { pause } from '../../reading/backoff.js'
import { requests } from '../client/driver.js'
import { Refused, whereOf } from '../client/failures.js'
import type { Link } from '../client/link.js'
import type { Links } from '../client/links.js'

/** The broker has nothing under that reference. */
const noOffset = 19
/** Whatever is wrong here will not be mended by asking again. */
const final = new Set([2, 12, 16])
const tries = 4

export type Stored = readonly [reference: string, value: bigint]

/**
 * The numbers that a broker keeps with a stream, each under a reference. Any broker of the cluster passes them on to the stream's
 * leader, so the one at hand is asked; both directions need no more than the right to read the stream.
 * https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbitmq_stream/docs/PROTOCOL.adoc#storeoffset
 */
export class Tracking {
  readonly #end = new AbortController()

  constructor(private readonly links: Links) {}

  /** What is stored; null where nothing is. Throws Refused, or what the network said. */
  query(stream: string, references: readonly string[]): Promise<(bigint | null)[]> {
    return this.#persist(async (link) => this.#query(link, stream, references))
  }

  /**
   * Stores, and asks until it shows: storing has no answer. All of it goes out together.
   *
   * @throws Refused, what the network said, or TidemarkError UNREACHABLE where something else stays there
   */
  store(stream: string, values: readonly Stored[]): Promise<void> {
    return this.#persist(async (link) => {
      for (const [reference, value] of values) link.tell(requests.storeOffset(reference, stream, value))
      // The same connection brings both to the leader in this order.
      const found = await this.#query(
        link,
        stream,
        values.map(([reference]) => reference),
      )
      const missing = values.findIndex(([, value], index) => found[index] !== value)
      if (missing === -1) return
      const [reference, value] = values[missing]!
      throw new TidemarkError(
        'UNREACHABLE',
        `${whereOf(this.links.settings)} was told to keep ${value} as '${reference}' of stream '${stream}', and says ${found[missing] ?? 'nothing'}: does another client write there?`,
      )
    })
  }

  close(): void {
    this.#end.abort()
  }

  #query(link: Link, stream: string, references: readonly string[]): Promise<(bigint | null)[]> {
    return Promise.all(
      references.map(async (reference) => {
        try {
          return (await link.ask<{ offsetValue: bigint }>(requests.queryOffset(reference, stream))).offsetValue
        } catch (error) {
          if (error instanceof Refused && error.code === noOffset) return null
          throw error
        }
      }),
    )
  }

  /** A leader that moves, or a connection that breaks, is got over. */
  async #persist<T>(work: (link: Link) => Promise<T>): Promise<T> {
    for (let tried = 1; ; tried++) {
      try {
        return await work(await this.links.seed())
      } catch (error) {
        const hopeless = error instanceof Refused && final.has(error.code)
        if (hopeless || tried === tries || this.#end.signal.aborted) throw error
        await pause(tried, this.#end.signal)
      }
    }
  }
}
