import type { PartitionKey } from '../../src/model/partition.js'
import type { Chunk, Reader } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'
import { type Interrupt, interrupted } from './interrupt.js'

/** How long a reader waits for its partition's next batch, ms. The hand-over between two batches takes some 50 ms. */
const keepFor = 2_000

/** A reader in use, with the chunk that was asked of it and that nobody has taken yet. */
export class Lease {
  #pending: Promise<Chunk | null> | undefined
  #isDecoding = false
  #arriving: Promise<boolean> | undefined

  constructor(
    private readonly reader: Reader,
    private readonly end: AbortController,
  ) {}

  /** Values of the chunk that was asked for are being decoded by an asynchronous decoder. */
  get isDecoding(): boolean {
    return this.#isDecoding
  }

  /** Waits until there is a chunk, which is not decoded yet; false where nothing came within `waitMs`, or where the interrupt was first. */
  async arrived(waitMs: number, interrupt: Interrupt): Promise<boolean> {
    if (this.#pending !== undefined) return true
    this.#arriving ??= this.reader.arrived(waitMs)
    try {
      const there = await interrupt.or(this.#arriving)
      if (there === interrupted) return false
      this.#arriving = undefined
      return there
    } catch (error) {
      this.#arriving = undefined
      throw error
    }
  }

  /**
   * The next chunk, with all of its values; null where nothing came within `waitMs`, or where the interrupt was first. What comes after an
   * interrupt is returned by the next call.
   */
  async next(
    limits: { readonly maxMessages: number; readonly waitMs: number },
    interrupt: Interrupt,
  ): Promise<Chunk | null> {
    this.#pending ??= this.reader.next(limits)
    try {
      let chunk = await interrupt.or(this.#pending)
      if (chunk !== interrupted && chunk?.settle) {
        this.#isDecoding = true
        this.#pending = chunk.settle(this.end.signal)
        chunk = await interrupt.or(this.#pending)
      }
      if (chunk === interrupted) return null
      this.#isDecoding = false
      this.#pending = undefined
      return chunk
    } catch (error) {
      this.#isDecoding = false
      this.#pending = undefined
      throw error
    }
  }

  /** Returns a chunk that was taken and not handled. */
  putBack(chunk: Chunk): void {
    this.#pending = Promise.resolve(chunk)
  }

  async close(): Promise<void> {
    this.end.abort()
    this.#pending?.then((chunk) => chunk?.release()).catch(() => {})
    await this.reader.close()
  }
}

/** Where a batch reads on. */
export interface ReadingPlace {
  readonly from: bigint
  readonly replay: number
  readonly identity: string | null
}

interface Parked {
  readonly lease: Lease
  readonly from: bigint
  readonly timer: NodeJS.Timeout
}

/**
 * Keeps the reader of a batch that ended with more to come for the batch that follows at once, with its connection and the fetch it
 * has ahead. Where the next batch goes to another worker, the reader is closed shortly after.
 */
export class Readers {
  readonly #parked = new Map<string, Parked>()

  constructor(private readonly runtime: Pick<ConsumerRuntime, 'source' | 'settings' | 'budget' | 'draining'>) {
    runtime.draining.addEventListener('abort', () => {
      for (const [id, parked] of this.#parked) this.#drop(id, parked)
    })
  }

  /** @param witness of the message before it, where that is known */
  take(key: PartitionKey, { from, replay, identity }: ReadingPlace, witness: string | null = null): Lease {
    const id = idOf(key, replay, identity)
    const parked = this.#parked.get(id)
    if (parked) {
      if (parked.from === from) {
        clearTimeout(parked.timer)
        this.#parked.delete(id)
        return parked.lease
      }
      this.#drop(id, parked)
    }
    const { source, settings, budget } = this.runtime
    const end = new AbortController()
    const { fetchBytes } = settings.chunk
    const reader = source.read(from, { key, replay, identity, witness, fetchBytes, budget, signal: end.signal })
    return new Lease(reader, end)
  }

  park(key: PartitionKey, { from, replay, identity }: ReadingPlace, lease: Lease): void {
    if (this.runtime.draining.aborted) return void lease.close().catch(() => {})
    const id = idOf(key, replay, identity)
    const old = this.#parked.get(id)
    if (old) this.#drop(id, old)
    const timer = setTimeout(() => this.#drop(id, parked), keepFor)
    const parked: Parked = { lease, from, timer }
    this.#parked.set(id, parked)
  }

  #drop(id: string, parked: Parked): void {
    clearTimeout(parked.timer)
    if (this.#parked.get(id) === parked) this.#parked.delete(id)
    parked.lease.close().catch(() => {})
  }
}

function idOf({ partition }: PartitionKey, replay: number, identity: string | null): string {
  return `${partition}/${replay}/${identity}`
}
