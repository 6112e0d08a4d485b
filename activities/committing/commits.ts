import type { ConsumerRuntime } from '../runtime.js'
import { commitAs, type Ledgers, type Ownership } from './commit-as.js'
import type { StoredOffsets } from './stored-offsets.js'

/** How one batch commits the consumer offset while it runs. */
export interface Commits {
  /** Greatest number of messages that the handler may get next. */
  readonly most: number
  /** So many ms from now something is to be committed though nothing more comes. */
  readonly dueIn: number
  /** Everything before `position` is done, `messages` more than the last time. */
  done(position: bigint, messages: number): Promise<void>
  /** Nothing came for the consumer's idle gap. The batch stays open, so what is done is committed now. */
  idle(): Promise<void>
  /** Commits what is left, and returns the position committed; undefined where the workflow commits. */
  end(): Promise<bigint | undefined>
}

/** The consumer's strategy for one batch that begins at `position`. */
export function commitsOf(
  runtime: Pick<ConsumerRuntime, 'settings'> & Ledgers,
  owner: Ownership,
  position: bigint,
  stored: StoredOffsets | undefined,
): Commits {
  const { commit: strategy } = runtime.settings
  if (stored)
    return { most: Infinity, dueIn: Infinity, done: async () => {}, idle: async () => {}, end: () => stored.flush() }
  if (strategy.after === 'messages') return new Every(runtime, owner, position, strategy.messages)
  if (strategy.after === 'interval') return new Periodic(runtime, owner, position, strategy.intervalMs)
  return new AfterBatch(runtime, owner, position)
}

/** What the strategies that commit inside the batch have in common. */
abstract class Inside implements Commits {
  /** Null before this batch has committed: an earlier one may have died between its work and its commit. */
  #committed: bigint | null = null
  #position: bigint

  constructor(
    private readonly ledgers: Ledgers,
    private readonly owner: Ownership,
    position: bigint,
  ) {
    this.#position = position
  }

  abstract readonly most: number
  get dueIn(): number {
    return Infinity
  }
  /** Whether to commit after `messages` more. */
  protected abstract due(messages: number): boolean

  async done(position: bigint, messages: number): Promise<void> {
    this.#position = position
    if (this.due(messages)) await this.#commit()
  }

  protected get pending(): boolean {
    return this.#position !== this.#committed
  }

  async idle(): Promise<void> {
    await this.#commit()
  }

  async end(): Promise<bigint | undefined> {
    return this.#commit()
  }

  /** The position that this batch has committed; null before it has. */
  protected get committed(): bigint | null {
    return this.#committed
  }

  async #commit(): Promise<bigint> {
    if (this.pending) await commitAs(this.ledgers, this.owner, this.#position)
    this.#committed = this.#position
    return this.#position
  }
}

/** The workflow commits, unless the batch has become idle and has done so itself. */
class AfterBatch extends Inside {
  readonly most = Infinity

  protected due(): boolean {
    return false
  }

  override async end(): Promise<bigint | undefined> {
    return this.pending ? undefined : (this.committed ?? undefined)
  }
}

class Every extends Inside {
  most: number

  constructor(
    ledgers: Ledgers,
    owner: Ownership,
    position: bigint,
    private readonly messages: number,
  ) {
    super(ledgers, owner, position)
    this.most = messages
  }

  protected due(messages: number): boolean {
    this.most -= messages
    if (this.most > 0) return false
    this.most = this.messages
    return true
  }
}

class Periodic extends Inside {
  readonly most = Infinity
  #dueAt: number

  constructor(
    ledgers: Ledgers,
    owner: Ownership,
    position: bigint,
    private readonly intervalMs: number,
  ) {
    super(ledgers, owner, position)
    this.#dueAt = performance.now() + intervalMs
  }

  override get dueIn(): number {
    return this.pending ? Math.max(0, this.#dueAt - performance.now()) : Infinity
  }

  protected due(): boolean {
    if (performance.now() < this.#dueAt) return false
    this.#dueAt = performance.now() + this.intervalMs
    return true
  }
}
