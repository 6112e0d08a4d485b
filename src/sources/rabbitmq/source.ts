import type { StartSpec } from '../../model/start.js'
import type { Bounds, ConnectContext, Log, Reader, ReadOptions, Source, SourceClient } from '../../ports.js'
import { codecOf, json, type ValueCodec } from '../value.js'
import { rabbitmqError } from './failures.js'
import { Links } from './links.js'
import { Offsets } from './offsets.js'
import { parseRabbitmq, type RabbitmqOptions } from './options.js'
import { RabbitmqReader } from './reader.js'
import { Watcher } from './watcher.js'

/**
 * A RabbitMQ stream, or a super stream with its partitions. Opens nothing: a worker does.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function rabbitmq<V = unknown>(options: RabbitmqOptions<V>): Source<V> {
  const settings = parseRabbitmq(options)
  const codec = codecOf(options.value ?? (json() as ValueCodec<V>))
  const { host, port, vhost, username, name, isSuper, keyHeader, ssl } = settings
  return {
    kind: 'rabbitmq',
    stream: name,
    describe: {
      broker: `${host}:${port}`,
      vhost,
      username,
      ...(isSuper ? { superStream: name } : { stream: name }),
      value: codec.name,
      key: keyHeader,
      tls: ssl !== null,
    },
    connect: async ({ log, signal }: ConnectContext) => {
      signal.throwIfAborted()
      const client = new RabbitmqClient(new Links(settings), codec, log)
      const onAbort = () => void client.close()
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        await client.partitions()
        signal.throwIfAborted()
        return client
      } catch (error) {
        await client.close()
        throw error
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}

class RabbitmqClient<V> implements SourceClient<V> {
  readonly #offsets: Offsets
  readonly #watcher: Watcher
  readonly #readers = new Set<RabbitmqReader<V>>()

  constructor(
    private readonly links: Links,
    private readonly codec: ValueCodec<V>,
    private readonly log: Log,
  ) {
    this.#offsets = new Offsets(links)
    this.#watcher = new Watcher(links, this.#offsets, log)
  }

  async partitions(): Promise<readonly number[]> {
    try {
      return [...(await this.links.partitions()).keys()]
    } catch (error) {
      throw rabbitmqError(error, this.links.settings)
    }
  }

  bounds(partitions: readonly number[]): Promise<ReadonlyMap<number, Bounds>> {
    return this.#offsets.bounds(partitions)
  }

  resolve(partition: number, start: StartSpec): Promise<bigint> {
    return this.#offsets.resolve(partition, start)
  }

  waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    return this.#watcher.wait(partition, position, signal)
  }

  /** The protocol names no incarnations: a stream created again shows by positions beyond its head. */
  async identity(): Promise<null> {
    return null
  }

  read(from: bigint, options: ReadOptions): Reader<V> {
    const closed = (reader: RabbitmqReader<V>) => this.#readers.delete(reader)
    const reader = new RabbitmqReader(from, options, this.links, this.#offsets, this.codec, this.log, closed)
    if (!options.signal.aborted) this.#readers.add(reader)
    return reader
  }

  async close(): Promise<void> {
    this.#watcher.close()
    await Promise.all([...this.#readers].map((reader) => reader.close()))
    this.links.close()
  }
}
