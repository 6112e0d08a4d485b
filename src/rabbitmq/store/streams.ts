import { requests, type StreamInfo } from '../client/driver.js'
import { notFound, Refused } from '../client/failures.js'
import type { Links } from '../client/links.js'

/** The broker's code for a name that it does not know. */
export const unknown = 2

/** Finds the streams that are the partitions of a stream, whichever kind it is. */
export class Streams {
  readonly #names = new Map<string, readonly string[]>()

  constructor(private readonly links: Links) {}

  /** Names of a stream's partitions now; none where there is no such stream. Throws Refused, or what the network said. */
  async of(stream: string): Promise<readonly string[]> {
    const names = await this.#find(stream)
    this.#names.set(stream, names)
    return names
  }

  /** The name of one. Throws STREAM_NOT_FOUND. */
  async nameOf(stream: string, partition: number): Promise<string> {
    const name = this.#names.get(stream)?.[partition] ?? (await this.of(stream))[partition]
    if (name !== undefined) return name
    const isSuper = (this.#names.get(stream)?.length ?? 0) > 1
    throw notFound({ ...this.links.settings, name: stream, isSuper }, partition)
  }

  /** It is not what it was: the next one who asks looks again. */
  forget(stream: string): void {
    this.#names.delete(stream)
  }

  async #find(stream: string): Promise<readonly string[]> {
    const link = await this.links.seed()
    const { streams } = await link.ask<{ streams: readonly string[] }>(requests.partitions(stream)).catch((error) => {
      if (error instanceof Refused && error.code === unknown) return { streams: [] }
      throw error
    })
    // Where a stream has the same name, too, the partitions of the super stream are still there to keep offsets.
    if (streams.length > 0) return streams
    const { streamInfos } = await link.ask<{ streamInfos: readonly StreamInfo[] }>(requests.metadata(stream))
    return streamInfos.some(({ streamName, responseCode }) => streamName === stream && responseCode !== unknown)
      ? [stream]
      : []
  }
}
