import type { OutputMessage } from '../../src/handlers/handler.js'
import { isTidemarkError, UserFailure } from '../../src/model/errors.js'
import { saysGone } from '../../src/model/fenced.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { Chunk, Message, OutputClient, OutputProgressLog, OutputRecord } from '../../src/ports/index.js'
import { isWellFormed } from '../../src/ports/text.js'

/** Carries the name of what a message was made from, so that readers can tell one that was written twice. */
const keyHeader = 'tidemark-key'

/** What a consumer's handler writes to. */
export interface RuntimeOutput {
  readonly client: OutputClient
  readonly maxBufferedBytes: number
  /** Set where outputs and progress are one transaction of the output's log. */
  readonly transactions?: OutputProgressLog
}

/** The messages that one chunk's handler produces. */
export interface Outgoing {
  produce(topic: string, message: OutputMessage): void
  /** Sends what was produced up to here, after what is under way. */
  flush(): Promise<void>
  /** @throws Error while something waits to be written */
  requireFlushed(): void
  /** The handler has returned: it produces nothing more, and what it has produced is sent. */
  finish(): Promise<void>
  /** What sending has thrown. A handler may throw anything that only looks like it. */
  readonly failures: WeakSet<object>
  /** Lets go of the chunk. What is not sent by now never is: the chunk is handled again. */
  end(): void
}

/** @param send where to; the transaction's own, where outputs belong to it */
export function outgoingOf(
  output: RuntimeOutput | undefined,
  key: PartitionKey,
  chunk: Chunk,
  send: OutputClient['send'] | undefined = output && ((records) => output.client.send(records)),
): Outgoing {
  if (!output || !send) return nowhere(key)
  return new ChunkOutputs(key, chunk, output.maxBufferedBytes, send)
}

/** For a consumer without an output. */
function nowhere({ group }: PartitionKey): Outgoing {
  return {
    produce: () => {
      throw new Error(
        `produce() needs an output: give the consumer of group ${group} one, output: kafkaOutput({ brokers })`,
      )
    },
    flush: async () => {},
    requireFlushed: () => {},
    finish: async () => {},
    failures: new WeakSet(),
    end: () => {},
  }
}

class ChunkOutputs implements Outgoing {
  #records: OutputRecord[] = []
  /** Bytes of what is not acknowledged yet, and of what nobody has flushed. */
  #bytes = 0
  #waiting = 0
  #over = false
  /** A message that came too late: nobody may await the branch that produced it. */
  #late: Error | undefined
  #sending: Promise<void> = Promise.resolve()
  readonly failures = new WeakSet<object>()
  /** How many messages were made of each message. */
  readonly #made = new Map<string, number>()

  constructor(
    private readonly key: PartitionKey,
    private readonly chunk: Chunk,
    private readonly maxBytes: number,
    private readonly send: OutputClient['send'],
  ) {}

  produce(topic: string, message: OutputMessage): void {
    if (this.#over) {
      const error = new Error(`produce('${topic}') came after its handler had returned: await what produces`)
      this.#late ??= error
      throw error
    }
    if (typeof topic !== 'string' || topic === '') throw new TypeError('produce() needs the name of a topic')
    const value = bytesOf(message.value, topic)
    const key = message.key == null ? null : bytesOf(message.key, topic)
    const headers = Object.entries(message.headers ?? {}).map(
      ([name, text]) => [name, text === null ? null : bytesOf(text, topic)] as const,
    )
    const size =
      64 + (key?.length ?? 0) + (value?.length ?? 0) + headers.reduce((n, [, it]) => n + (it?.length ?? 0), 0)
    if (this.#bytes > 0 && this.#bytes + size > this.maxBytes)
      throw new Error(
        `more than ${this.maxBytes} bytes wait to be sent: await flush() now and then, or make chunk.maxMessages smaller`,
      )
    const { partition } = message
    this.#bytes += size
    this.#waiting += size
    this.#records.push({
      topic,
      ...(partition === undefined ? {} : { partition }),
      key,
      value,
      headers: [...headers, [keyHeader, Buffer.from(this.#nameOf(message.source))]],
    })
  }

  flush(): Promise<void> {
    const records = this.#records
    const bytes = this.#waiting
    this.#records = []
    this.#waiting = 0
    // Once something has failed, nothing that was produced later may come before it.
    this.#sending = this.#sending.then(() => (records.length > 0 ? this.#deliver(records, bytes) : undefined))
    // Callers that wait get the error, and so does the end of the chunk.
    this.#sending.catch(() => {})
    return this.#sending
  }

  requireFlushed(): void {
    if (this.#bytes > 0) throw new Error('storeOffset() came before what was produced was written: await flush() first')
  }

  async finish(): Promise<void> {
    this.#over = true
    await this.flush()
    // While the chunk is not committed, it fails rather than lose the message.
    if (this.#late) throw this.#late
  }

  end(): void {
    this.#over = true
    if (this.#records.length === 0) return
    this.#records = []
    this.#sending = Promise.reject(new Error('flush() came after its chunk was given up: nothing of it is sent'))
    this.#sending.catch(() => {})
  }

  async #deliver(records: readonly OutputRecord[], bytes: number): Promise<void> {
    try {
      await this.send(records)
      this.#bytes -= bytes
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      if (saysGone(error)) {
        this.failures.add(error)
        throw error
      }
      const { group } = this.key
      const at = `group ${group} at ${describePartition(this.key)} offset ${this.chunk.messages[0]!.offset} and behind`
      // A cluster that refuses the login, or is not there, is no reason to stop: the chunk is tried again. What is said of it may name a
      // topic that the handler has taken from a message.
      const failure = new UserFailure('OUTPUT_FAILED', { what: at, thrown: error, place: this.key })
      this.failures.add(failure)
      throw failure
    }
  }

  #nameOf(source: Message | undefined): string {
    const { idempotencyKey } = source ?? this.chunk.messages[0]!
    const index = this.#made.get(idempotencyKey) ?? 0
    this.#made.set(idempotencyKey, index + 1)
    return `${idempotencyKey}/${index}`
  }
}

function bytesOf(value: NonNullable<OutputMessage['key']>, topic: string): Buffer
function bytesOf(value: OutputMessage['value'], topic: string): Buffer | null
function bytesOf(value: OutputMessage['value'], topic: string): Buffer | null {
  if (value === null) return null
  if (typeof value === 'string') {
    if (!isWellFormed(value))
      throw new TypeError(
        `produce('${topic}'): a text holds what UTF-8 can't say; where it is the key or a header of a message, take keyBytes or headers.getBytes()`,
      )
    return Buffer.from(value)
  }
  if (value instanceof Uint8Array) return Buffer.isBuffer(value) ? value : Buffer.from(value)
  if (typeof value === 'object') return Buffer.from(JSON.stringify(value))
  throw new TypeError(
    `produce('${topic}'): a value is text, a Buffer, an object (written as JSON) or null, not ${typeof value}`,
  )
}
