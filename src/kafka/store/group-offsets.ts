import { isTidemarkError, TidemarkError } from '../../model/errors.js'
import { describePartition } from '../../model/partition.js'
import type { MirroredOffset, OffsetMirror, PartitionPosition } from '../../ports/index.js'
import { Gather } from '../../storing/gather.js'
import type { Brokers } from '../client/brokers.js'
import { Coordinators } from '../client/coordinators.js'
import { codeName, groupMeaningOf } from '../client/error-codes.js'
import { codeError, whereOf } from '../client/failures.js'
import { type CommittedOffset, Groups } from '../client/groups.js'
import type { Links } from '../client/link-pool.js'
import type { KafkaSettings } from '../client/options.js'
import { ForeignOffsets } from './foreign-offsets.js'
import { readNote, writeNote } from './offset-note.js'

type Cluster = Pick<KafkaSettings, 'brokers' | 'sasl'>

/** Members named in an error. */
const named = 5

/** The offsets that Kafka itself keeps for a group, where people's tools look for them. */
export class GroupOffsets implements OffsetMirror {
  /** A request is about one group, and the next one waits for its answer. */
  readonly #commits = byGroup((group) => new Gather<CommittedOffset, true>((offsets) => this.#commit(group, offsets)))
  readonly #fetches = byGroup(
    (group) =>
      new Gather<null, readonly CommittedOffset[]>(async ({ length }) => {
        const committed = await this.groups.committed(group)
        return Array.from({ length }, () => committed)
      }),
  )
  readonly #foreign = new ForeignOffsets((group) => this.committed(group))

  constructor(
    private readonly groups: Groups,
    private readonly settings: Cluster,
  ) {}

  static over(links: Links, brokers: Brokers, { brokers: addresses, sasl }: Cluster): GroupOffsets {
    // Without the topic: what goes wrong with a group is not about the one that is read.
    const cluster = { brokers: addresses, ...(sasl ? { sasl } : {}) }
    return new GroupOffsets(new Groups(new Coordinators(links, brokers, cluster)), cluster)
  }

  /** @throws TidemarkError UNREACHABLE or AUTH_FAILED */
  async read(group: string, stream: string): Promise<readonly PartitionPosition[]> {
    return (await this.committed(group))
      .filter(({ topic }) => topic === stream)
      .map(({ partition, position }) => ({ partition, position }))
      .sort((a, b) => a.partition - b.partition)
  }

  /** @throws TidemarkError GROUP_ACTIVE, UNREACHABLE or AUTH_FAILED */
  async refuseActive(group: string): Promise<void> {
    if ((await this.groups.members(group)).length === 0) return
    throw new TidemarkError(
      'GROUP_ACTIVE',
      `consumers of group ${group} run on ${whereOf(this.settings)}: ${await this.#describeMembers(group)}. Stop them first: two consumers would handle the same messages`,
      { place: { group } },
    )
  }

  /** @throws TidemarkError GROUP_ACTIVE, STREAM_NOT_FOUND, UNREACHABLE or AUTH_FAILED */
  async assert(offset: MirroredOffset): Promise<bigint | null> {
    const theirs = await this.#foreign.inTheWayOf(offset)
    if (theirs === null) await this.#show(offset)
    return theirs
  }

  /** Throws as `read`. */
  foreign(group: string, stream: string): Promise<readonly PartitionPosition[]> {
    return this.#foreign.list(group, stream)
  }

  /** Throws as `assert`. */
  async claim(group: string, stream: string): Promise<void> {
    const theirs = await this.foreign(group, stream)
    await Promise.all(theirs.map((one) => this.#show({ group, stream, ...one, epoch: 0, replay: 0 })))
  }

  /** Throws as `assert`. */
  async delete(group: string, stream: string): Promise<void> {
    const ours = (await this.committed(group)).filter(
      ({ topic, metadata }) => topic === stream && readNote(metadata) !== null,
    )
    if (ours.length === 0) return
    const codes = await this.groups.delete(
      group,
      stream,
      ours.map(({ partition }) => partition),
    )
    const failed = codes.findIndex((code) => code !== 0)
    if (failed < 0) return
    const active = groupMeaningOf(codes[failed]!) === 'active'
    throw this.#refused(
      codes[failed]!,
      group,
      ours[failed]!,
      'deleted',
      active ? await this.#describeMembers(group) : '',
    )
  }

  async #show(offset: MirroredOffset): Promise<void> {
    const { group, stream, partition, position, epoch, replay } = offset
    try {
      await this.commit(group, { topic: stream, partition, position, metadata: writeNote({ epoch, replay }) })
    } catch (error) {
      // They commit, too, as long as they run.
      if (isTidemarkError(error) && error.code === 'GROUP_ACTIVE') this.#foreign.forget(group)
      throw error
    }
    await this.#foreign.overwritten(offset)
  }

  /** All that is committed of a group. Who asks meanwhile shares the next request. */
  committed(group: string): Promise<readonly CommittedOffset[]> {
    return this.#fetches(group).ask(null)
  }

  /** Commits, whatever is there. All partitions that wait for it share the next request. Throws as `assert`. */
  async commit(group: string, offset: CommittedOffset): Promise<void> {
    await this.#commits(group).ask(offset)
  }

  /** All groups of the cluster. */
  names(): Promise<readonly string[]> {
    return this.groups.names()
  }

  async #commit(group: string, offsets: readonly CommittedOffset[]): Promise<(true | Error)[]> {
    // Of two for one partition the later one counts.
    const last = new Map(offsets.map((offset) => [`${offset.topic}/${offset.partition}`, offset]))
    const keys = [...last.keys()]
    const codes = await this.groups.commit(group, [...last.values()])
    const active = codes.some((code) => groupMeaningOf(code) === 'active')
    const members = active ? await this.#describeMembers(group) : ''
    return offsets.map((offset) => {
      const code = codes[keys.indexOf(`${offset.topic}/${offset.partition}`)]!
      return code === 0 || this.#refused(code, group, offset, 'committed', members)
    })
  }

  #refused(
    code: number,
    group: string,
    { topic, partition, position }: CommittedOffset,
    done: 'committed' | 'deleted',
    members: string,
  ): TidemarkError {
    const { settings } = this
    const place = { group, stream: topic, partition, offset: String(position) }
    const what = `group ${group}, ${describePartition({ stream: topic, partition })}: position ${position}`
    switch (groupMeaningOf(code)) {
      case 'gone':
        return codeError(code, { ...settings, topic }, partition)
      case 'active':
        return new TidemarkError(
          'GROUP_ACTIVE',
          `${what} can't be ${done} ${done === 'committed' ? 'to' : 'from'} ${whereOf(settings)} while consumers of the group run there: ${members}. Stop them first, or give Tidemark's consumer another group`,
          { place },
        )
      case 'denied':
        return new TidemarkError(
          'AUTH_FAILED',
          `${what}: ${whereOf(settings)} answered ${codeName(code)}; give this login the right to read the group and the topic`,
          { place },
        )
      default:
        return new TidemarkError('UNREACHABLE', `${what}: ${whereOf(settings)} answered ${codeName(code)}`, {
          place,
        })
    }
  }

  async #describeMembers(group: string): Promise<string> {
    const members = await this.groups.members(group).catch(() => [])
    if (members.length === 0) return `see kafka-consumer-groups.sh --describe --members --group ${group}`
    const names = members.slice(0, named).map(({ clientId, host }) => `${clientId} at ${host}`)
    return `${names.join(', ')}${members.length > named ? ` and ${members.length - named} more` : ''}`
  }
}

function byGroup<T>(create: (group: string) => T): (group: string) => T {
  const all = new Map<string, T>()
  return (group) => {
    const one = all.get(group) ?? create(group)
    all.set(group, one)
    return one
  }
}
