import type { PartitionKey } from '../../model/partition.js'
import { Refused, rabbitmqError } from '../client/failures.js'
import type { Links } from '../client/links.js'
import { type FoundRecord, type Recorded, recordOf, referencesOf, storedFor } from './offset-record.js'
import { Streams, unknown } from './streams.js'
import { Tracking } from './tracking.js'

const nothing: FoundRecord = { shown: null, record: null }

/** What Tidemark keeps for groups in the tracking of streams of one broker. */
export class Records {
  readonly #streams: Streams
  readonly #tracking: Tracking

  constructor(private readonly links: Links) {
    this.#streams = new Streams(links)
    this.#tracking = new Tracking(links)
  }

  /** Of each partition that the stream has now. @throws TidemarkError UNREACHABLE, AUTH_FAILED, CONFIG_INVALID */
  async all(group: string, stream: string): Promise<readonly FoundRecord[]> {
    const references = referencesOf(group)
    return this.#meaning({ stream }, async () =>
      Promise.all((await this.#streams.of(stream)).map((name) => this.#find(name, references))),
    )
  }

  /** Of one partition; nothing where it is not there. Throws as `all`. */
  async one({ group, stream, partition }: PartitionKey): Promise<FoundRecord> {
    const references = referencesOf(group)
    return this.#meaning({ stream, partition }, async () =>
      this.#find(await this.#streams.nameOf(stream, partition), references),
    )
  }

  /** Throws as `all`, and STREAM_NOT_FOUND. */
  async put({ group, stream, partition }: PartitionKey, record: Recorded, shown: bigint | null): Promise<void> {
    const values = storedFor(group, record, shown)
    await this.#meaning({ stream, partition }, async () =>
      this.#tracking.store(await this.#streams.nameOf(stream, partition), values),
    )
  }

  close(): void {
    this.#tracking.close()
    this.links.close()
  }

  async #find(name: string, references: readonly string[]): Promise<FoundRecord> {
    try {
      return recordOf(await this.#tracking.query(name, references))
    } catch (error) {
      // With the stream, what it kept is gone.
      if (error instanceof Refused && error.code === unknown) return nothing
      throw error
    }
  }

  async #meaning<T>(
    { stream, partition }: { readonly stream: string; readonly partition?: number },
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Refused && error.code === unknown) this.#streams.forget(stream)
      throw rabbitmqError(error, { ...this.links.settings, name: stream }, partition)
    }
  }
}
