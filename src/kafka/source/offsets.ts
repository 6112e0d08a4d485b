import { TidemarkError } from '../../model/errors.js'
import { offsetOutOfRange } from '../../model/refusals.js'
import type { StartSpec } from '../../model/start.js'
import type { Bounds } from '../../ports/index.js'
import { Gather } from '../../storing/gather.js'
import { committed, everything } from '../client/broker-link.js'
import type { BrokerAddress } from '../client/driver.js'
import { codeError, kafkaError } from '../client/failures.js'
import type { Leaders } from '../client/leaders.js'
import type { Links } from '../client/link-pool.js'
import type { KafkaSettings } from '../client/options.js'

/** ListOffsets' names for the ends of a partition. KIP-79. */
const first = -2
const head = -1
/** Not a name but a time: every message with a time was written later. The answer has the time of the first one. */
const anyTime = 0

interface Listing {
  readonly offsets: Map<number, bigint>
  /** When the messages there were written, ms since 1970, where a time was asked for. */
  readonly times: Map<number, number>
  /** What went wrong with the other partitions. */
  readonly failures: Map<number, TidemarkError>
}

interface ListQuestion {
  readonly partitions: readonly number[]
  /** Ms since 1970, or one of ListOffsets' names. */
  readonly timestamp: number
  readonly isolation: 0 | 1
}

/** Looks up offsets: what is asked in one turn of the event loop, with one request per leader. */
export class Offsets {
  // A round never waits for another: one may be waiting for a broker that is silent, the next is about other brokers.
  readonly #gather = new Gather<ListQuestion, Listing>((questions) => this.#listTogether(questions), {
    atOnce: Number.POSITIVE_INFINITY,
  })

  constructor(
    private readonly links: Links,
    private readonly leaders: Leaders,
    private readonly settings: KafkaSettings,
  ) {}

  /** @throws TidemarkError UNREACHABLE, AUTH_FAILED or STREAM_NOT_FOUND */
  async bounds(partitions: readonly number[]): Promise<Map<number, Bounds>> {
    const [firsts, heads] = await Promise.all([this.#at(partitions, first), this.#at(partitions, head)])
    return new Map(
      partitions.map((partition) => [partition, { first: firsts.get(partition)!, head: heads.get(partition)! }]),
    )
  }

  /** When the oldest message of each partition was written, where the log knows. Partitions in trouble are left out. */
  async firstTimes(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const { times } = await this.#list(partitions, anyTime, everything)
    return new Map([...times].filter(([, time]) => time > 0))
  }

  /** @throws TidemarkError as `bounds`, and OUT_OF_RANGE for an offset that is not in the log */
  async resolve(partition: number, start: StartSpec): Promise<bigint> {
    const at = async (timestamp: number) => (await this.#at([partition], timestamp)).get(partition)!
    if (start === 'first') return at(first)
    if (start === 'next') return at(head)
    const bounds = (await this.bounds([partition])).get(partition)!
    if (start === 'last') return bounds.head > bounds.first ? bounds.head - 1n : bounds.head
    if ('offset' in start) {
      if (start.offset >= bounds.first && start.offset <= bounds.head) return start.offset
      throw offsetOutOfRange({ stream: this.settings.topic, partition }, start.offset, bounds)
    }
    const found = await at(start.timestamp)
    return found < 0n ? bounds.head : found
  }

  /**
   * How far each partition can be read now (for readers of committed data, the last stable offset), and how far it is
   * written. Partitions in trouble are left to `failures`.
   */
  async readable(partitions: readonly number[]): Promise<{
    readonly readable: ReadonlyMap<number, bigint>
    readonly heads: ReadonlyMap<number, bigint>
    readonly failures: ReadonlyMap<number, TidemarkError>
  }> {
    const heads = await this.#list(partitions, head, everything)
    if (this.settings.readUncommitted)
      return { readable: heads.offsets, heads: heads.offsets, failures: heads.failures }
    const stable = await this.#list([...heads.offsets.keys()], head, committed)
    return {
      readable: stable.offsets,
      heads: heads.offsets,
      failures: new Map([...heads.failures, ...stable.failures]),
    }
  }

  /** @param timestamp ms since 1970, or one of ListOffsets' names */
  async #at(partitions: readonly number[], timestamp: number): Promise<ReadonlyMap<number, bigint>> {
    const { offsets, failures } = await this.#list(partitions, timestamp, everything)
    for (const failure of failures.values()) throw failure
    return offsets
  }

  #list(partitions: readonly number[], timestamp: number, isolation: 0 | 1): Promise<Listing> {
    return this.#gather.ask({ partitions, timestamp, isolation })
  }

  /** A request names a partition once, so one question per partition, time and isolation. */
  async #listTogether(questions: readonly ListQuestion[]): Promise<readonly (Listing | Error)[]> {
    const alike = new Map<string, ListQuestion[]>()
    for (const question of questions) {
      const name = `${question.timestamp} ${question.isolation}`
      const others = alike.get(name)
      if (others) others.push(question)
      else alike.set(name, [question])
    }
    const listings = new Map<ListQuestion, Listing>()
    await Promise.all(
      [...alike.values()].map(async (group) => {
        const { timestamp, isolation } = group[0]!
        const partitions = [...new Set(group.flatMap(({ partitions }) => partitions))]
        const listing = await this.#listNow(partitions, timestamp, isolation)
        for (const question of group) listings.set(question, part(listing, question.partitions))
      }),
    )
    return questions.map((question) => listings.get(question)!)
  }

  /** Asks twice where a leader has moved or its connection has broken: the second time where the cluster says then. */
  async #listNow(partitions: readonly number[], timestamp: number, isolation: 0 | 1): Promise<Listing> {
    const listing = await this.#ask(partitions, timestamp, isolation)
    if (listing.failures.size === 0) return listing
    try {
      await this.leaders.refresh()
    } catch (error) {
      const failure = kafkaError(error, this.settings)
      for (const partition of listing.failures.keys()) listing.failures.set(partition, failure)
      return listing
    }
    const again = await this.#ask([...listing.failures.keys()], timestamp, isolation)
    return {
      offsets: new Map([...listing.offsets, ...again.offsets]),
      times: new Map([...listing.times, ...again.times]),
      failures: again.failures,
    }
  }

  async #ask(partitions: readonly number[], timestamp: number, isolation: 0 | 1): Promise<Listing> {
    const listing: Listing = { offsets: new Map(), times: new Map(), failures: new Map() }
    const byLeader = new Map<BrokerAddress, number[]>()
    for (const partition of partitions) {
      const leader = await this.leaders.of(partition).catch((error) => kafkaError(error, this.settings))
      if (leader instanceof TidemarkError) listing.failures.set(partition, leader)
      else if (leader) byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition])
      else listing.failures.set(partition, codeError(this.leaders.has(partition) ? 5 : 3, this.settings, partition))
    }
    const { topic } = this.settings
    await Promise.all(
      [...byLeader].map(async ([leader, theirs]) => {
        const asked = theirs.map((partition) => ({ partition, timestamp }))
        try {
          const listed = await this.links.use(leader, (link) => link.listOffsets(topic, isolation, asked))
          for (const { partition, errorCode, offset, timestamp: time } of listed)
            if (errorCode === 0) {
              listing.offsets.set(partition, offset)
              listing.times.set(partition, time)
            } else listing.failures.set(partition, codeError(errorCode, this.settings, partition))
        } catch (error) {
          for (const partition of theirs) listing.failures.set(partition, kafkaError(error, this.settings))
        }
      }),
    )
    return listing
  }
}

function part({ offsets, times, failures }: Listing, partitions: readonly number[]): Listing {
  const mine: Listing = { offsets: new Map(), times: new Map(), failures: new Map() }
  for (const partition of partitions) {
    const offset = offsets.get(partition)
    if (offset !== undefined) mine.offsets.set(partition, offset)
    const time = times.get(partition)
    if (time !== undefined) mine.times.set(partition, time)
    const failure = failures.get(partition)
    if (failure) mine.failures.set(partition, failure)
  }
  return mine
}
