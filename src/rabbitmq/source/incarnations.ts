import type { Links } from '../client/links.js'
import { marked, unmarked } from '../store/offset-record.js'
import type { Tracking } from '../store/tracking.js'
import { readChunk } from './chunk.js'
import type { Offsets } from './offsets.js'

const reference = 'tidemark.stream'

/**
 * Tells a stream from another one that had its name before: by the time at which the very first chunk of its log was written. Every
 * reader finds the same there, and once it is committed it never changes. Before retention deletes that chunk, somebody notes the time in the
 * stream's own tracking, which disappears with the stream.
 */
export class Incarnations {
  constructor(
    private readonly links: Links,
    private readonly offsets: Offsets,
    private readonly tracking: Tracking,
  ) {}

  /** Null of a stream that is empty, or whose beginning was deleted before anybody noted it. Throws as `Tracking.query`. */
  async of(stream: string): Promise<string | null> {
    const [noted] = await this.tracking.query(stream, [reference])
    const known = unmarked(noted)
    if (known !== null) return String(known)
    // Only of a log that still begins at 0: from any later chunk somebody else would take another time.
    if ((await this.offsets.chunks(stream)).first !== 0n) return null
    const time = await this.#beginning(stream)
    if (time === null) return null
    // Whoever may write nothing here finds the time in the log for as long as it is there.
    if (this.links.settings.groupOffsets)
      await this.tracking.store(stream, [[reference, marked(BigInt(time))]]).catch(() => {})
    return String(time)
  }

  async #beginning(stream: string): Promise<number | null> {
    const subscription = await this.links.subscribe(stream, { offset: 0n }, 'all')
    try {
      const delivered = await subscription.here()
      if (!delivered) return null
      const { first, timestamp } = readChunk(delivered.chunk)
      return first === 0n ? timestamp : null
    } finally {
      subscription.close()
    }
  }
}
