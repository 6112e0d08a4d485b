import type { TidemarkError } from '../../src/model/errors.js'
import { idempotencyKey } from '../../src/model/partition.js'
import type {
  Bounds,
  Chunk,
  Message,
  Poison,
  RawMessage,
  Reader,
  ReadOptions,
  SourceClient,
} from '../../src/ports/index.js'
import { LogHeaders, type Origin } from '../../src/reading/message.js'
import { rawOf } from './raw-of.js'

type Limits = Parameters<Reader['next']>[0]

/** A log in memory. Tests say when messages come, and what can't be read. */
export class FakeLog {
  /** Chunks that were handed out and not released yet. */
  lent = 0
  /** Readers that were opened, and those that are open now. */
  readonly opened: { readonly partition: number; readonly from: bigint; readonly witness?: string | null }[] = []
  /** Whether chunks carry a witness: `behind 6`, say, where the last message is at 6. */
  hasWitness = false
  open = 0
  readonly identities = new Map<number, string>()
  /** Messages that can't be decoded have bytes. */
  rawPoison = false
  readonly #heads = new Map<number, bigint>()
  readonly #errors = new Map<number, { readonly at: bigint; readonly error: Error }>()
  readonly #poisons = new Map<number, { readonly at: bigint; readonly error: TidemarkError }>()
  readonly #late = new Map<number, (chunk: Chunk, signal: AbortSignal) => Promise<Chunk | null>>()
  readonly #arrived = new Set<() => void>()
  /** The key of each message; null: it has none. */
  keyOf: (offset: bigint) => string | null = () => null

  /** Adds messages to a partition, now. */
  append(partition: number, count = 1): void {
    this.#heads.set(partition, this.head(partition) + BigInt(count))
    for (const arrived of [...this.#arrived]) arrived()
  }

  head(partition: number): bigint {
    return this.#heads.get(partition) ?? 0n
  }

  /** The values of a partition's chunks are late from now on, until `settle` has decoded them. */
  decodes(partition: number, settle: (chunk: Chunk, signal: AbortSignal) => Promise<Chunk | null>): void {
    this.#late.set(partition, settle)
  }

  /** Reading at this offset fails. */
  fails(partition: number, at: bigint, error: Error): void {
    this.#errors.set(partition, { at, error })
  }

  /** The message at this offset can't be decoded. */
  poison(partition: number, at: bigint, error: TidemarkError): void {
    this.#poisons.set(partition, { at, error })
  }

  readonly client: SourceClient = {
    partitions: async () => [...this.#heads.keys()],
    bounds: async (partitions) =>
      new Map(partitions.map((partition): [number, Bounds] => [partition, { first: 0n, head: this.head(partition) }])),
    resolve: async () => 0n,
    waitForData: (partition, position, signal) => this.#came(partition, position, Number.POSITIVE_INFINITY, signal),
    identity: async (partition) => this.identities.get(partition) ?? null,
    read: (from, options) => this.#reader(from, options),
    restore: (raw, origin) => this.#restored(raw, origin),
    close: async () => {},
  }

  #reader(from: bigint, { key, replay, signal, witness }: ReadOptions): Reader {
    const { partition } = key
    let position = from
    let open = true
    this.opened.push({ partition, from, ...(this.hasWitness && { witness }) })
    this.open++
    const arrived = async (waitMs: number) => {
      const error = this.#errors.get(partition)
      if (error?.at === position) throw error.error
      return this.#came(partition, position, waitMs, signal)
    }
    return {
      arrived,
      next: async (limits) => {
        if (limits.maxMessages < 1) throw new Error(`a reader can't be asked for ${limits.maxMessages} messages`)
        if (!(await arrived(limits.waitMs))) return null
        const chunk = this.#chunk({ ...key, replay }, position, limits)
        position = chunk.next
        return chunk
      },
      close: async () => {
        if (open) this.open--
        open = false
      },
    }
  }

  #chunk({ replay, ...key }: Origin, from: bigint, { maxMessages }: Limits): Chunk {
    const { partition } = key
    const head = this.head(partition)
    const bad = this.#poisons.get(partition)
    const most = from + BigInt(maxMessages)
    const stops = [head, most, this.#errors.get(partition)?.at ?? head, bad?.at ?? head].filter((at) => at > from)
    const poisoned = bad && bad.at >= from && bad.at < most && bad.at < head
    const next = poisoned ? bad.at : stops.reduce((a, b) => (a < b ? a : b))
    const messages: Message[] = []
    for (let offset = from; offset < next; offset++)
      messages.push(messageAt(offset, { ...key, replay }, this.keyOf(offset)))
    this.lent++
    let lent = true
    const release = () => {
      if (lent) this.lent--
      lent = false
    }
    const poison: Poison | undefined = poisoned
      ? {
          error: bad.error,
          raw: this.rawPoison
            ? { offset: bad.at, timestamp: 0, key: null, value: Buffer.from('?'), headers: [] }
            : null,
          next: bad.at + 1n,
        }
      : undefined
    const witness = this.hasWitness && messages.length > 0 ? `behind ${next - 1n}` : undefined
    const more = { ...(poison && { poison }), ...(witness && { witness }) }
    const chunk = { from, next, messages, bytes: messages.length, head, raw: rawOf, release, ...more }
    const settle = this.#late.get(partition)
    return settle ? { ...chunk, settle: (signal) => settle(chunk, signal) } : chunk
  }

  /** Its value as it was kept; poison where reading meets poison, too. */
  #restored(raw: RawMessage, origin: Origin): Chunk {
    const { offset: from, value } = raw
    const next = from + 1n
    const bad = this.#poisons.get(origin.partition)
    const ends = { from, head: next, bytes: 1, raw: () => raw, release: () => {} }
    if (bad?.at === from) return { ...ends, next: from, messages: [], poison: { error: bad.error, raw, next } }
    const message = messageAt(from, origin, this.keyOf(from), value === null ? null : JSON.parse(String(value)))
    const chunk = { ...ends, next, messages: [message] }
    const settle = this.#late.get(origin.partition)
    return settle ? { ...chunk, settle: (signal) => settle(chunk, signal) } : chunk
  }

  /** Waits until there is something at `position`; false when the time is over, or the signal aborts. */
  #came(partition: number, position: bigint, waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false)
    if (this.head(partition) > position) return Promise.resolve(true)
    return new Promise((resolve) => {
      const end = (came: boolean) => {
        clearTimeout(timer)
        this.#arrived.delete(look)
        signal.removeEventListener('abort', abort)
        resolve(came)
      }
      const look = () => {
        if (this.head(partition) > position) end(true)
      }
      const abort = () => end(false)
      const timer = Number.isFinite(waitMs) ? setTimeout(() => end(false), waitMs) : undefined
      this.#arrived.add(look)
      signal.addEventListener('abort', abort, { once: true })
    })
  }
}

function messageAt(
  offset: bigint,
  { replay, ...key }: Origin,
  text: string | null,
  value: unknown = Number(offset),
): Message {
  return {
    ...key,
    offset,
    key: text,
    keyBytes: text === null ? null : Buffer.from(text),
    value,
    headers: new LogHeaders([]),
    timestamp: 0,
    idempotencyKey: idempotencyKey(key, offset, replay),
  }
}
