import type { MirroredOffset, OffsetMirror, PartitionPosition } from '../../ports/index.js'
import { mayOverwrite } from '../../storing/foreign.js'
import { rabbitmqError } from '../client/failures.js'
import type { Links } from '../client/links.js'
import {
  type FoundRecord,
  foreignIn,
  positionOf,
  recordOf,
  referencesOf,
  shownFor,
  storedFor,
} from './offset-record.js'
import type { Tracking } from './tracking.js'

/**
 * What a newer owner has written is left alone for so long, ms. Whoever owns the partition writes again within it, or with the next
 * commit; but after a database was emptied, its epochs begin anew, and what is shown must not stay as it was for ever.
 */
const newerStays = 10 * 60_000

/** The offsets that RabbitMQ keeps for a group with each stream, where people's tools look for them. */
export class GroupOffsets implements OffsetMirror {
  constructor(
    private readonly links: Links,
    private readonly tracking: Tracking,
    private readonly now: () => number = Date.now,
  ) {}

  /** @throws TidemarkError UNREACHABLE, AUTH_FAILED, STREAM_NOT_FOUND; CONFIG_INVALID for a name there is no room for */
  read(group: string): Promise<readonly PartitionPosition[]> {
    return this.#positions(group, positionOf)
  }

  /** Throws as `read`. */
  async assert({ group, partition, position, epoch, replay, handled = false }: MirroredOffset): Promise<bigint | null> {
    return this.#meaning(partition, async () => {
      const stream = await this.links.nameOf(partition)
      const found = await this.#find(stream, group)
      const { shown, record } = found
      // A group that has never had anything done leaves no trace in the log.
      if (!record && shown === null && position === 0n) return null
      const at = this.now()
      if (record?.epoch === epoch && record.position > position) return null
      if (record && record.epoch > epoch && at - record.at < newerStays) return null
      const theirs = foreignIn(found)
      if (!mayOverwrite(theirs, { position, handled })) return theirs
      const same = record?.epoch === epoch && record.replay === replay && record.position === position
      if (same && shown === shownFor(position, shown)) return null
      await this.tracking.store(stream, storedFor(group, { position, epoch, replay, at }, shown))
      return null
    })
  }

  /** Throws as `read`. */
  foreign(group: string): Promise<readonly PartitionPosition[]> {
    return this.#positions(group, foreignIn)
  }

  /** Throws as `read`. */
  async claim(group: string): Promise<void> {
    const at = this.now()
    await Promise.all(
      (await this.foreign(group)).map(({ partition, position }) =>
        this.#meaning(partition, async () => {
          const record = { position, epoch: 0, replay: 0, at }
          await this.tracking.store(await this.links.nameOf(partition), storedFor(group, record, position - 1n))
        }),
      ),
    )
  }

  async #positions(
    group: string,
    positionIn: (found: FoundRecord) => bigint | null,
  ): Promise<readonly PartitionPosition[]> {
    const streams = await this.#meaning(undefined, () => this.links.partitions())
    const found = await Promise.all(
      streams.map((stream, partition) => this.#meaning(partition, () => this.#find(stream, group))),
    )
    return found.flatMap((each, partition) => {
      const position = positionIn(each)
      return position === null ? [] : [{ partition, position }]
    })
  }

  async #find(stream: string, group: string): Promise<FoundRecord> {
    return recordOf(await this.tracking.query(stream, referencesOf(group)))
  }

  async #meaning<T>(partition: number | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw rabbitmqError(error, this.links.settings, partition)
    }
  }
}
