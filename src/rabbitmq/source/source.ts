import { setTimeout as sleep } from 'node:timers/promises'
import { addressText } from '../../model/address.js'
import { isTidemarkError } from '../../model/errors.js'
import type { StartSpec } from '../../model/start.js'
import type {
  Bounds,
  Chunk,
  ConnectContext,
  Log,
  RawMessage,
  Reader,
  ReadOptions,
  Source,
  SourceClient,
} from '../../ports/index.js'
import { connected } from '../../reading/connected.js'
import { type Decoding, decodingFor, decodingOf } from '../../reading/late-value.js'
import type { Origin } from '../../reading/message.js'
import { rabbitmqError } from '../client/failures.js'
import { Links } from '../client/links.js'
import { noted, parseRabbitmq, type RabbitmqOptions } from '../client/options.js'
import { GroupOffsets } from '../store/group-offsets.js'
import { Tracking } from '../store/tracking.js'
import { Incarnations } from './incarnations.js'
import { Offsets } from './offsets.js'
import { RabbitmqReader } from './reader.js'
import { restoredMessage } from './restored-message.js'
import { Watcher } from './watcher.js'

/**
 * A RabbitMQ stream, or a super stream with its partitions. Opens nothing: a worker does.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function rabbitmq<V = unknown>(options: RabbitmqOptions<V>): Source<V> {
  const settings = parseRabbitmq(options)
  const decoding = decodingOf(options.value, settings)
  const { host, port, vhost, username, name, isSuper, keyHeader, ssl } = settings
  return noted<Source<V>>(
    {
      kind: 'rabbitmq',
      stream: name,
      decoding,
      describe: {
        broker: addressText({ host, port }),
        vhost,
        username,
        ...(isSuper ? { superStream: name } : { stream: name }),
        value: decoding.codec.name,
        key: keyHeader,
        tls: ssl !== null,
      },
      connect: ({ log, signal, values }: ConnectContext) =>
        connected(new RabbitmqClient(new Links(settings), decodingFor(values, decoding), log), signal, (client) =>
          found(client, signal),
        ),
    },
    settings,
  )
}

/** So often a stream has to be missing before it is believed: right after its start a broker does not know its super streams yet. */
const looks = 5
const between = 300

async function found(client: { partitions(): Promise<unknown> }, signal: AbortSignal): Promise<void> {
  for (let look = 1; ; look++) {
    try {
      await client.partitions()
      return
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'STREAM_NOT_FOUND' || look === looks) throw error
      await sleep(between, undefined, { signal })
    }
  }
}

class RabbitmqClient<V> implements SourceClient<V> {
  readonly #offsets: Offsets
  readonly #watcher: Watcher
  readonly #readers = new Set<RabbitmqReader<V>>()
  readonly #tracking: Tracking
  readonly #incarnations: Incarnations
  readonly groupOffsets?: GroupOffsets

  constructor(
    private readonly links: Links,
    private readonly decoding: Decoding<V>,
    private readonly log: Log,
  ) {
    this.#offsets = new Offsets(links)
    this.#watcher = new Watcher(links, this.#offsets, log)
    this.#tracking = new Tracking(links)
    this.#incarnations = new Incarnations(links, this.#offsets, this.#tracking)
    if (links.settings.groupOffsets) this.groupOffsets = new GroupOffsets(links, this.#tracking)
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

  firstTimes(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    return this.#offsets.firstTimes(partitions)
  }

  resolve(partition: number, start: StartSpec): Promise<bigint> {
    return this.#offsets.resolve(partition, start)
  }

  waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    return this.#watcher.wait(partition, position, signal)
  }

  /** When the partition's stream was begun. Throws STREAM_NOT_FOUND, UNREACHABLE or AUTH_FAILED. */
  async identity(partition: number): Promise<string | null> {
    try {
      return await this.#incarnations.of(await this.links.nameOf(partition))
    } catch (error) {
      throw rabbitmqError(error, this.links.settings, partition)
    }
  }

  read(from: bigint, options: ReadOptions): Reader<V> {
    const closed = (reader: RabbitmqReader<V>) => this.#readers.delete(reader)
    const reader = new RabbitmqReader(
      from,
      options,
      this.links,
      this.#offsets,
      this.#incarnations,
      this.decoding,
      this.log,
      closed,
    )
    if (!options.signal.aborted) this.#readers.add(reader)
    return reader
  }

  restore(raw: RawMessage, origin: Origin): Chunk<V> {
    return restoredMessage(raw, origin, this.decoding, this.links.settings.keyHeader)
  }

  async close(): Promise<void> {
    this.#watcher.close()
    this.#tracking.close()
    await Promise.all([...this.#readers].map((reader) => reader.close()))
    this.links.close()
  }
}
