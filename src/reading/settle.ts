import type { TidemarkError } from '../model/errors.js'
import { isThenable } from '../model/functions.js'
import type { Chunk, Message, Poison } from '../ports/index.js'
import { decoderFailed, decoderSilent, isFinal, undecodable } from './decode-errors.js'
import { type Decoding, LateValue } from './late-value.js'

/**
 * Decodes the late values of a chunk, a bounded number at a time, and puts them into their messages.
 *
 * @param signal ends it: the chunk is released
 * @returns the chunk, with poison behind the messages that can be handled where a value can't ever be decoded; null where the signal was
 *   first
 * @throws TidemarkError DECODER_FAILED, once the chunk is released
 */
export function settle<V>(chunk: Chunk<V>, decoding: Decoding<V>, signal: AbortSignal): Promise<Chunk<V> | null> {
  return new Promise((resolve, reject) => new Settling(chunk, decoding, signal, resolve, reject).begin())
}

/** A message whose value is late. */
interface LateMessage<V> {
  readonly message: Message<V> & { value: V }
  /** Among all messages of the chunk. */
  readonly index: number
  readonly late: LateValue<V>
}

/** Why a chunk ends before its end: the value is undecodable, or the chunk is to be tried again. */
type Failure = { readonly undecodable: unknown } | { readonly retry: TidemarkError }

/**
 * Of several failures the first one in the log counts, whichever came first. So the values in front of a failure are waited for, and the
 * result does not depend on how fast each of them is.
 */
class Settling<V> {
  readonly #late: readonly LateMessage<V>[]
  /** The late value to begin next. */
  #next = 0
  /** Late values from this one on do not matter: it has failed, or the chunk ends. */
  #end: number
  #failure: Failure | null = null
  /** Those under way, with their timers. */
  readonly #underWay = new Map<number, NodeJS.Timeout>()
  #isOver = false
  readonly #onAbort = () => this.#abandon()

  constructor(
    private readonly chunk: Chunk<V>,
    private readonly decoding: Decoding<V>,
    private readonly signal: AbortSignal,
    private readonly resolve: (chunk: Chunk<V> | null) => void,
    private readonly reject: (error: TidemarkError) => void,
  ) {
    this.#late = chunk.messages.flatMap((message, index) => {
      const late: unknown = message.value
      return late instanceof LateValue ? [{ message, index, late }] : []
    })
    this.#end = this.#late.length
  }

  begin(): void {
    this.signal.addEventListener('abort', this.#onAbort, { once: true })
    if (this.signal.aborted) this.#abandon()
    else this.#goOn()
  }

  #goOn(): void {
    while (!this.#isOver && this.#next < this.#end && this.#underWay.size < this.decoding.concurrency)
      this.#decode(this.#next++)
    if (this.#isOver || this.#next < this.#end) return
    for (const number of this.#underWay.keys()) if (number < this.#end) return
    this.#finish()
  }

  #decode(number: number): void {
    const { message, late } = this.#late[number]!
    const { info } = late
    const { codec, timeoutMs } = this.decoding
    let value: V | PromiseLike<V>
    try {
      value = late.decode()
    } catch (thrown) {
      this.#fail(number, { undecodable: thrown })
      return
    }
    if (!isThenable(value)) {
      message.value = value as V
      return
    }
    /** Takes note of how it ended, unless nobody waits for it any more: then it ends here, however it does. */
    const ends = (note: () => void) => {
      clearTimeout(this.#underWay.get(number))
      if (!this.#underWay.delete(number)) return
      note()
      this.#goOn()
    }
    const silent = () => ends(() => this.#fail(number, { retry: decoderSilent(codec, info, timeoutMs) }))
    this.#underWay.set(number, setTimeout(silent, timeoutMs))
    Promise.resolve(value).then(
      (value) =>
        ends(() => {
          message.value = value
        }),
      (thrown) =>
        ends(() =>
          this.#fail(number, isFinal(thrown) ? { undecodable: thrown } : { retry: decoderFailed(codec, info, thrown) }),
        ),
    )
  }

  #fail(number: number, failure: Failure): void {
    if (number >= this.#end) return
    this.#end = number
    this.#failure = failure
  }

  #finish(): void {
    this.#leave()
    const failure = this.#failure
    if (failure === null) this.resolve(this.chunk)
    else if ('undecodable' in failure) this.resolve(this.#poisoned(failure.undecodable))
    else {
      this.chunk.release()
      this.reject(failure.retry)
    }
  }

  /** What stands in front of the value that can't be decoded. The chunk's witness is of its end, and is left out. */
  #poisoned(thrown: unknown): Chunk<V> {
    const { from, bytes, head, raw, release, messages } = this.chunk
    const { message, index, late } = this.#late[this.#end]!
    const { info } = late
    const poison: Poison = {
      error: undecodable(this.decoding.codec, late.raw, info, thrown),
      raw: raw(message),
      next: info.offset + 1n,
      timestamp: message.timestamp,
    }
    return { from, next: info.offset, messages: messages.slice(0, index), bytes, head, raw, release, poison }
  }

  /** Nobody wants the chunk any more. */
  #abandon(): void {
    this.#leave()
    this.chunk.release()
    this.resolve(null)
  }

  #leave(): void {
    this.#isOver = true
    this.signal.removeEventListener('abort', this.#onAbort)
    for (const timer of this.#underWay.values()) clearTimeout(timer)
    this.#underWay.clear()
  }
}
