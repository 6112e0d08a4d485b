import { setTimeout as sleep } from 'node:timers/promises'
import { isTidemarkError, messageOf, TidemarkError } from '../../model/errors.js'
import { fenced } from '../../model/fenced.js'
import { describePartition, type PartitionKey, partitionPath } from '../../model/partition.js'
import { compareTokens, type FencingToken } from '../../model/token.js'
import type { Claimed, OutputProgressLog, OutputRecord, OutputTransaction, Progress } from '../../ports/index.js'
import { type Cluster, Refused } from './cluster.js'
import { type Noted, noteOf, readNote } from './note.js'
import type { Placer } from './place.js'
import { fetchOffset } from './protocol.js'
import { saysFenced, saysOutdone, TransactionalProducer } from './transaction.js'

/** How long reading waits for transactions under way, ms, where an older answer would do no harm. */
const stableWithin = 5_000

type Stored = Pick<Progress, 'position'> & Noted

/** Who owns a partition in this process. */
interface Owner extends Noted {
  producer: TransactionalProducer
  position: bigint
  /** The transaction under way, or the last one. */
  turn: Promise<unknown>
}

/**
 * Progress beside messages: the positions are offsets of a group of their own, and each transaction's outputs and position
 * are committed together. The fence is Kafka's: a partition has a transactional id, and only its newest producer can commit.
 */
export class KafkaProgress implements OutputProgressLog {
  /** Outputs that were sent stay where an older position comes back: the offset store has seen them committed. */
  readonly outranksStore = false
  readonly #owners = new Map<string, Owner>()
  readonly #claims = new Map<string, Promise<unknown>>()

  constructor(
    private readonly cluster: Cluster,
    private readonly placer: Placer,
  ) {}

  async read(key: PartitionKey): Promise<Progress | null> {
    const stored = await this.#read(key)
    if (!stored || stored.replay < 0) return null
    const { position, token, replay, witness = null } = stored
    return { position, token, replay, identity: null, witness }
  }

  /** The first claim writes where it begins. */
  async begin(): Promise<void> {}

  async #read(key: PartitionKey): Promise<Stored | null> {
    try {
      return await this.#fetch(key, stableWithin)
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'UNREACHABLE') throw this.#explained(error, key)
      // A dead worker's open transaction is aborted by the next claim. What is before it is true meanwhile.
      return await this.#fetch(key, null).catch((again) => {
        throw this.#explained(again, key)
      })
    }
  }

  claim(key: PartitionKey, token: FencingToken, start: { from: bigint; replay: number }): Promise<Claimed> {
    return this.#contend(key, async () => {
      // First of all: beginning a producer would end the one of the rightful owner. What this process has claimed a moment ago, the
      // broker may not show yet.
      const owner = this.#owners.get(partitionPath(key))
      if (owner && compareTokens(owner.token, token) >= 0) throw fenced(key, token)
      refuse(await this.#fetch(key, null), key, token)
      return this.#begin(key, token, start)
    })
  }

  raise(key: PartitionKey, token: FencingToken): Promise<void> {
    const done = (stored: Stored | null) => stored !== null && compareTokens(stored.token, token) >= 0
    return this.#contend(key, async () => {
      // A claim that was committed just now must be seen: beginning a producer would end its owner's.
      if (done(await this.#read(key))) return
      // Ends every older producer. A writer that begins one later is refused by the note.
      const producer = await TransactionalProducer.begin(this.cluster, this.placer, partitionPath(key))
      const stored = await this.#fetch(key, this.cluster.settings.deliveryTimeoutMs)
      if (done(stored)) return
      const { position, ...noted } = stored ?? { position: 0n, replay: -1 }
      await this.#store(key, { ...noted, producer, token, raised: true }, position)
    })
  }

  /** Runs what begins a producer, again and again while others begin one at the same time. */
  #contend<T>(key: PartitionKey, work: () => Promise<T>): Promise<T> {
    const id = partitionPath(key)
    // Those of one process wait for each other: each would abort what the other has begun.
    const before = this.#claims.get(id) ?? Promise.resolve()
    const mine = before.catch(() => {}).then(() => this.#outlast(key, work))
    this.#claims.set(id, mine)
    const forget = () => {
      if (this.#claims.get(id) === mine) this.#claims.delete(id)
    }
    mine.then(forget, forget)
    return mine
  }

  async #outlast<T>(key: PartitionKey, work: () => Promise<T>): Promise<T> {
    try {
      const until = performance.now() + this.cluster.settings.deliveryTimeoutMs
      for (;;) {
        try {
          return await work()
        } catch (error) {
          if (!saysOutdone(error) || performance.now() > until) throw error
          // Somebody else claims at the same time. Whose token is greater will be seen when one of them has written it.
          await sleep(20 + Math.random() * 80, undefined, { signal: this.cluster.signal })
        }
      }
    } catch (error) {
      throw this.#explained(error, key)
    }
  }

  /** Begins a producer, which ends every older one, and writes down whose it is. */
  async #begin(key: PartitionKey, token: FencingToken, start: { from: bigint; replay: number }): Promise<Claimed> {
    const producer = await TransactionalProducer.begin(this.cluster, this.placer, partitionPath(key))
    const stored = await this.#fetch(key, this.cluster.settings.deliveryTimeoutMs)
    refuse(stored, key, token)
    const goOn = stored !== null && stored.replay >= start.replay
    // The plan is ahead where progress was kept elsewhere meanwhile, before the consumer had `transactional: 'kafka'` again.
    const position = goOn && stored.position > start.from ? stored.position : start.from
    const replay = goOn ? stored.replay : start.replay
    const witness = goOn && stored.position === position ? stored.witness : undefined
    const owner: Owner = { producer, token, replay, position, turn: Promise.resolve(), ...(witness && { witness }) }
    await this.#store(key, owner, position)
    this.#owners.set(partitionPath(key), owner)
    return { position, witness: witness ?? null }
  }

  async advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint, witness?: string): Promise<void> {
    await this.transact(key, token, from, to, async () => {}, witness)
  }

  async transact(
    key: PartitionKey,
    token: FencingToken,
    from: bigint,
    to: bigint | (() => bigint),
    work: (tx: OutputTransaction) => Promise<void>,
    witness?: string,
  ): Promise<void> {
    const owner = this.#owners.get(partitionPath(key))
    if (!owner || compareTokens(owner.token, token) !== 0) throw fenced(key, token)
    const turn = owner.turn.catch(() => {}).then(() => this.#transact(key, owner, from, to, work, witness))
    owner.turn = turn
    await turn
  }

  async #transact(
    key: PartitionKey,
    owner: Owner,
    from: bigint,
    to: bigint | (() => bigint),
    work: (tx: OutputTransaction) => Promise<void>,
    witness?: string,
  ): Promise<void> {
    const { token } = owner
    if (owner.position !== from) throw fenced(key, token)
    if (owner.producer.broken) {
      if (await this.#isFenced(undefined, key, token)) throw fenced(key, token)
      throw new TidemarkError('OUTPUT_FAILED', `${describePartition(key)}: its Kafka producer has to begin anew`)
    }
    if (owner.producer.doubtful) await this.#renew(key, owner)
    const { producer } = owner
    let over = false
    let ofHandler: unknown
    try {
      // One after the other, and before the position, also where nobody waits for them.
      let sent: Promise<void> = Promise.resolve()
      const send = async (records: readonly OutputRecord[]) => {
        if (over) throw new Error('this transaction is over')
        sent = sent.then(() => producer.send(records))
        sent.catch(() => {})
        await sent.catch((error) => {
          throw this.#explained(error, key)
        })
      }
      await work({ send }).catch((error) => {
        ofHandler = error
        throw error
      })
      over = true
      await sent
      const position = typeof to === 'function' ? to() : to
      const noted = { token, replay: owner.replay, ...(witness && { witness }) }
      await this.#store(key, { producer, ...noted }, position)
      owner.position = position
    } catch (error) {
      over = true
      await producer.abort()
      if (await this.#isFenced(error, key, token)) throw fenced(key, token)
      throw error === ofHandler ? error : this.#explained(error, key)
    }
  }

  /**
   * Begins another producer for an owner that has lost an answer and come through nevertheless. What it sent a second time
   * may still be carried out the first time, in the midst of a later transaction; but not from an older producer.
   */
  async #renew(key: PartitionKey, owner: Owner): Promise<void> {
    const check = async (stableWithinMs: number | null) => {
      const stored = await this.#fetch(key, stableWithinMs)
      if (stored && compareTokens(stored.token, owner.token) > 0) throw fenced(key, owner.token)
    }
    try {
      // A newer owner's producer is to be left alone.
      await check(null)
      const producer = await TransactionalProducer.begin(this.cluster, this.placer, partitionPath(key))
      await check(this.cluster.settings.deliveryTimeoutMs)
      owner.producer = producer
    } catch (error) {
      throw this.#explained(error, key)
    }
  }

  /** Stores a position in the open transaction, and commits it. */
  async #store(
    key: PartitionKey,
    { producer, ...noted }: Noted & Pick<Owner, 'producer'>,
    position: bigint,
  ): Promise<void> {
    await producer.store({ group: progressGroup(key), key, position, note: noteOf(noted) })
    await producer.commit()
  }

  /** @param stableWithinMs how long to wait for transactions under way; null not to */
  async #fetch(key: PartitionKey, stableWithinMs: number | null): Promise<Stored | null> {
    const group = progressGroup(key)
    const { stream: topic, partition } = key
    const args = { group, topic, partition, stable: stableWithinMs !== null }
    const options = stableWithinMs === null ? {} : { withinMs: stableWithinMs }
    const { offset, metadata } = await this.cluster.coordinate({ kind: 'group', id: group }, fetchOffset, args, options)
    return offset < 0n ? null : { position: offset, ...readNote(metadata) }
  }

  async #isFenced(error: unknown, key: PartitionKey, token: FencingToken): Promise<boolean> {
    if (isTidemarkError(error) && error.code === 'FENCED') return true
    const stored = await this.#read(key).catch(() => null)
    return stored !== null && compareTokens(stored.token, token) > 0
  }

  #explained(error: unknown, key: PartitionKey): TidemarkError {
    if (isTidemarkError(error)) return error
    const what = saysFenced(error)
      ? 'another producer has begun with its transactional id; the next try will show who owns it'
      : messageOf(error)
    const code = error instanceof Refused && /AUTHORIZATION/.test(error.message) ? 'AUTH_FAILED' : 'OUTPUT_FAILED'
    return new TidemarkError(code, `${describePartition(key)} of group ${key.group}: ${what}`, {
      cause: error,
      place: key,
    })
  }
}

/** The group whose offsets are the progress. Another one than the consumer's: its offsets are a mirror, for people. */
function progressGroup({ group }: PartitionKey): string {
  return `${group}.progress`
}

function refuse(stored: Stored | null, key: PartitionKey, token: FencingToken): void {
  if (!stored) return
  const order = compareTokens(stored.token, token)
  if (order > 0 || (order === 0 && !stored.raised)) throw fenced(key, token)
}
