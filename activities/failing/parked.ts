import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { LetterSettings } from '../../src/model/policy.js'
import type { DeadLetters, Message, NewLetter } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'
import { queueOf } from './queue.js'

/** How full a limit is when it is warned of. */
const nearly = 0.8

/**
 * Which keys of a partition have messages set aside: later messages of these keys go behind them. Belongs to the partition's owner, and
 * changes only with transactions that have been committed.
 */
export class ParkedKeys {
  #queues = new Set<string>()
  #letters = 0
  /** When the oldest letter was set aside, by `performance.now()`: of the database's clock, only differences count. */
  #oldest: number | null = null
  #nextDue: number | null = null
  #warned = false

  constructor(
    private readonly letters: Pick<DeadLetters, 'parked'>,
    private readonly key: PartitionKey,
    /** Null where nothing is set aside any more by the options; what was before still counts. */
    private readonly settings: LetterSettings | null,
  ) {}

  async load(): Promise<void> {
    const { queues, letters, oldestMs, nextDue } = await this.letters.parked(this.key)
    this.#queues = new Set(queues)
    this.#letters = letters
    this.#oldest = oldestMs === null ? null : performance.now() - oldestMs
    this.#nextDue = nextDue
  }

  /** When a letter is to be handled next, Temporal's time in ms; null: none. */
  get nextDue(): number | null {
    return this.#nextDue
  }

  /** The queue that a message set aside belongs to; null where it keeps no order. */
  queueOf({ keyBytes }: Pick<Message, 'keyBytes'>): string | null {
    const { order, nullKeys } = this.settings ?? { order: 'key', nullKeys: 'alone' }
    if (order === 'none' || (keyBytes === null && nullKeys === 'alone')) return null
    return queueOf(keyBytes)
  }

  /** Messages that may be handled, and those whose key has messages set aside, in their order. */
  divide(messages: readonly Message[]): { readonly free: readonly Message[]; readonly behind: readonly Message[] } {
    if (this.#queues.size === 0) return { free: messages, behind: [] }
    const free: Message[] = []
    const behind: Message[] = []
    for (const message of messages) (this.#queues.has(queueOf(message.keyBytes)) ? behind : free).push(message)
    return { free, behind }
  }

  /** Letters were added, and the transaction is committed. */
  added(added: readonly NewLetter[]): void {
    for (const { queue, dueAt, state } of added) {
      if (state === 'skipped') continue
      if (queue !== null) this.#queues.add(queue)
      if (dueAt !== undefined) this.#nextDue = Math.min(this.#nextDue ?? dueAt, dueAt)
      this.#letters++
      this.#oldest ??= performance.now()
    }
  }

  /** Letters have ended, and more may be due. */
  ended({ letters, emptied }: { readonly letters: number; readonly emptied: readonly string[] }): void {
    this.#letters -= letters
    for (const queue of emptied) this.#queues.delete(queue)
    if (this.#letters <= 0) this.#nextDue = this.#oldest = null
  }

  /** Why no other message can be set aside; null where one can. `warning` is given once, when it is nearly so. */
  full(more: readonly NewLetter[]): { readonly why: string | null; readonly warning: string | null } {
    const { limits } = this.settings ?? {}
    if (!limits) return { why: null, warning: null }
    const keys =
      this.#queues.size +
      new Set(more.map(({ queue }) => queue).filter((one) => one !== null && !this.#queues.has(one))).size
    const messages = this.#letters + more.length
    const ageMs = this.#oldest === null ? 0 : Math.round(performance.now() - this.#oldest)
    const uses: readonly [used: number, limit: number | null, what: string][] = [
      [keys, limits.keys, 'keys have messages set aside'],
      [messages, limits.messages, 'messages are set aside'],
      [ageMs, limits.ageMs, 'ms have passed since the oldest message was set aside'],
    ]
    for (const [used, limit, what] of uses)
      if (limit !== null && used > limit) return { why: `${used} ${what}, and the limit is ${limit}`, warning: null }
    const near = uses.find(([used, limit]) => limit !== null && used > nearly * limit)
    if (!near || this.#warned) return { why: null, warning: null }
    this.#warned = true
    return { why: null, warning: `${near[0]} ${near[2]}; the limit is ${near[1]}, where the partition pauses` }
  }
}

/** Partitions whose worker has said that their letters stay where they are. */
const told = new WeakMap<object, Set<number>>()

/**
 * The letters that an owner has to mind. None where their end and progress can't be one transaction, because a handler alone says what is done
 * or progress is in Kafka: an earlier config has set them aside, they stay where they are, and later messages of their keys go to the
 * handler. Setting those aside, too, would lose them.
 */
export function lettersOf(
  runtime: Pick<ConsumerRuntime, 'letters' | 'settings' | 'output' | 'log'>,
): Pick<DeadLetters, 'parked'> {
  const { letters, settings, output, log } = runtime
  const isManual = settings.commit.after === 'manual'
  if (!isManual && !output?.transactions) return letters
  return {
    parked: async (key) => {
      const found = (await letters.parked(key)).letters
      const partitions = told.get(runtime) ?? new Set()
      told.set(runtime, partitions)
      if (found > 0 && !partitions.has(key.partition)) {
        partitions.add(key.partition)
        log.warn(
          key,
          `${describePartition(key)}: ${found} messages are set aside by an earlier config, and stay so under ${isManual ? 'commit: manual()' : "transactional: 'kafka'"}; ` +
            'later messages of their keys are not held up. Redrive or discard them with the earlier config',
        )
      }
      return { queues: [], letters: 0, oldestMs: null, nextDue: null }
    },
  }
}
