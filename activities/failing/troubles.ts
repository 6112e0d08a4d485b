import type { PartitionKey } from '../../src/model/partition.js'
import type { FencingToken } from '../../src/model/token.js'
import type { Failing, LetterInHand, Suspect, Trouble } from '../../src/model/trouble.js'
import type { TroubleLog } from '../../src/ports/index.js'

/** What is known of one partition's trouble while a batch has it. Only what concerns its replay counts. */
export class Troubles {
  #now: Trouble | null = null

  constructor(
    private readonly log: TroubleLog,
    private readonly owner: { readonly key: PartitionKey; readonly token: FencingToken; readonly replay: number },
  ) {}

  async load(): Promise<void> {
    const known = await this.log.read(this.owner.key)
    this.#now = known?.replay === this.owner.replay ? known : null
  }

  get any(): boolean {
    return this.#now !== null
  }

  get inARow(): number {
    return this.#now?.inARow ?? 0
  }

  /** What is known of the message at this offset. */
  failingAt(offset: bigint): Failing | undefined {
    const failing = this.#now?.failing
    return failing && BigInt(failing.position) === offset ? failing : undefined
  }

  /** The message that the partition has stopped at, after its last try. */
  get stoppedAt(): string | undefined {
    return this.#now?.stoppedAt
  }

  get failing(): Failing | undefined {
    return this.#now?.failing
  }

  /** The stretch in which workers were lost, where the position lies in it. */
  suspectAt(position: bigint): Suspect | undefined {
    const suspect = this.#now?.suspect
    return suspect && position < BigInt(suspect.until) ? suspect : undefined
  }

  /** The letter in hand in such a stretch, or that a worker was lost at. */
  get letter(): LetterInHand | undefined {
    return this.#now?.letter
  }

  /** Whether the message was done already, though one before it failed. */
  isDone(offset: bigint): boolean {
    return this.#now?.done?.some(([from, to]) => offset >= BigInt(from) && offset < BigInt(to)) ?? false
  }

  get done(): NonNullable<Trouble['done']> {
    return this.#now?.done ?? []
  }

  /** Changes some of it, here and in the database. */
  async note(
    change: { readonly [Fact in Exclude<keyof Trouble, 'replay'>]?: Trouble[Fact] | undefined },
  ): Promise<void> {
    const { key, token, replay } = this.owner
    const facts = Object.entries({ ...this.#now, ...change }).filter(([, value]) => value !== undefined)
    this.#now = { ...(Object.fromEntries(facts) as Omit<Trouble, 'replay'>), replay }
    await this.log.write(key, token, this.#now)
  }

  /**
   * Progress is at `position`: what lies before is over.
   *
   * @param handled whether the handler has got a message and handled it. Messages that went behind others tell nothing of an outage
   */
  async past(position: bigint, handled: boolean): Promise<void> {
    if (!this.#now) return
    const { suspect, done, letter } = this.#now
    const inARow = handled ? undefined : this.#now.inARow
    const stays = suspect && position < BigInt(suspect.until) ? suspect : undefined
    const left = done?.filter(([, to]) => BigInt(to) > position) ?? []
    const next: Trouble | null =
      stays || left.length > 0 || inARow !== undefined
        ? {
            replay: this.#now.replay,
            ...(stays && { suspect: stays }),
            ...(stays && letter && { letter }),
            ...(left.length > 0 && { done: left }),
            ...(inARow !== undefined && { inARow }),
          }
        : null
    // The marks of a stretch are written before each chunk, anyway.
    const isSaid = next !== null && !this.#now.failing && this.#now.inARow === inARow
    this.#now = next
    const { key, token } = this.owner
    if (!isSaid) await this.log.write(key, token, next)
  }
}

/** What a partition's next try waits for, if it does. */
export function lastFailure(troubles: Troubles, position: bigint) {
  const { failing } = troubles
  // What lies before the position is done: the answer to a commit was lost.
  if (failing && BigInt(failing.position) >= position) {
    const { tries, lastAt: at, last: text, position: offset, code } = failing
    return { tries, at, text, offset, isLoss: code === 'WORKER_LOST' }
  }
  const suspect = troubles.suspectAt(position)
  if (!suspect || suspect.lostAt === undefined) return null
  const text = `a worker was lost while it handled messages up to offset ${BigInt(suspect.until) - 1n}, which are tried again in smaller chunks`
  return { tries: suspect.crashes, at: suspect.lostAt, text, offset: String(position), isLoss: true }
}
