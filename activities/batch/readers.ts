import type { PartitionKey } from '../../src/model/partition.js'
import type { Reader } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'

/** How long a reader waits for its partition's next batch, ms. The hand-over between two batches takes some 50 ms. */
const keepFor = 2_000

interface Parked {
  readonly lease: Lease
  readonly position: bigint
  readonly timer: NodeJS.Timeout
}

/** A reader in use. `stop` ends it, also in the middle of a wait. */
export interface Lease {
  readonly reader: Reader
  stop(): void
}

/**
 * Keeps the reader of a batch that ended full for the batch that follows at once, with its connection and the fetch it has
 * ahead. Where the next batch goes to another worker, the reader is closed shortly after.
 */
export class Readers {
  readonly #parked = new Map<string, Parked>()

  constructor(private readonly runtime: Pick<ConsumerRuntime, 'source' | 'settings' | 'budget' | 'draining'>) {
    runtime.draining.addEventListener('abort', () => {
      for (const [id, parked] of this.#parked) this.#drop(id, parked)
    })
  }

  take(key: PartitionKey, replay: number, from: bigint, identity: string | null = null): Lease {
    const id = `${key.partition}/${replay}`
    const parked = this.#parked.get(id)
    if (parked) {
      if (parked.position === from) {
        clearTimeout(parked.timer)
        this.#parked.delete(id)
        return parked.lease
      }
      this.#drop(id, parked)
    }
    const { source, settings, budget } = this.runtime
    const end = new AbortController()
    const { fetchBytes } = settings.chunk
    const reader = source.read(from, { key, replay, identity, fetchBytes, budget, signal: end.signal })
    return { reader, stop: () => end.abort() }
  }

  park(key: PartitionKey, replay: number, position: bigint, lease: Lease): void {
    if (this.runtime.draining.aborted) return void this.close(lease)
    const id = `${key.partition}/${replay}`
    const old = this.#parked.get(id)
    if (old) this.#drop(id, old)
    const timer = setTimeout(() => this.#drop(id, parked), keepFor)
    const parked: Parked = { lease, position, timer }
    this.#parked.set(id, parked)
  }

  async close(lease: Lease): Promise<void> {
    lease.stop()
    await lease.reader.close()
  }

  #drop(id: string, parked: Parked): void {
    clearTimeout(parked.timer)
    if (this.#parked.get(id) === parked) this.#parked.delete(id)
    this.close(parked.lease).catch(() => {})
  }
}
