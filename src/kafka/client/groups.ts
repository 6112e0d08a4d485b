import type { Coordinators } from './coordinators.js'
import { deleteOffsets, type OffsetsDeleted } from './delete-offsets.js'
import type { Address } from './driver.js'
import { noSuchGroup, unknownServerError } from './error-codes.js'

/** Where the cluster keeps all this. Asking for it tells the brokers, and nothing of other people's topics. */
const ownTopic = '__consumer_offsets'

export interface CommittedOffset {
  readonly topic: string
  readonly partition: number
  readonly position: bigint
  /** Any text, from whoever committed. */
  readonly metadata: string
}

export interface Member {
  readonly clientId: string
  readonly host: string
}

interface PerTopic<T> {
  readonly responses: readonly { readonly topic: string; readonly partitions: readonly (T & Coded)[] }[]
}

interface Coded {
  readonly partition: number
  readonly errorCode: number
}

/** Consumer groups, seen from outside: Tidemark joins none. Kafka calls that a simple consumer. */
export class Groups {
  constructor(private readonly coordinators: Coordinators) {}

  /** All that a group has committed; nothing where there is no such group. */
  async committed(group: string): Promise<readonly CommittedOffset[]> {
    type Fetched = PerTopic<{ offset: string; metadata: string | null }> & { errorCode: number }
    const { responses } = await this.coordinators.of<Fetched>(group, {
      name: 'OffsetFetch',
      // To kafkajs no topics are all topics.
      args: { groupId: group, topics: [] },
      codes: (answer) => [answer.errorCode, ...codesOf(answer)],
    })
    return responses.flatMap(({ topic, partitions }) =>
      partitions
        .map(({ partition, offset, metadata }) => ({
          topic,
          partition,
          position: BigInt(offset),
          metadata: metadata ?? '',
        }))
        .filter(({ position }) => position >= 0n),
    )
  }

  /** Commits for a group without active members. Returns the error codes, 0 for done, in the order of the offsets. */
  async commit(group: string, offsets: readonly CommittedOffset[]): Promise<readonly number[]> {
    const topics = new Map<string, { partition: number; offset: string; metadata: string }[]>()
    for (const { topic, partition, position, metadata } of offsets) {
      const before = topics.get(topic) ?? []
      topics.set(topic, [...before, { partition, offset: String(position), metadata }])
    }
    const answer = await this.coordinators.of<PerTopic<object>>(group, {
      name: 'OffsetCommit',
      args: {
        groupId: group,
        groupGenerationId: -1,
        memberId: '',
        topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
      },
      codes: codesOf,
    })
    return offsets.map(({ topic, partition }) => {
      const partitions = answer.responses.find((response) => response.topic === topic)?.partitions
      return partitions?.find((response) => response.partition === partition)?.errorCode ?? unknownServerError
    })
  }

  /** Deletes what a group has committed on a topic. Returns an error code for each partition, 0 for done; nothing where there is no group. */
  async delete(group: string, topic: string, partitions: readonly number[]): Promise<readonly number[]> {
    const { errorCode, partitions: deleted } = await this.coordinators.of<OffsetsDeleted>(group, {
      name: deleteOffsets,
      args: { group, topic, partitions },
      codes: (answer) => [answer.errorCode, ...answer.partitions.map((one) => one.errorCode)],
    })
    if (errorCode === noSuchGroup) return []
    return errorCode === 0 ? deleted.map((one) => one.errorCode) : partitions.map(() => errorCode)
  }

  /** Who is in a group now, as far as the broker says. */
  async members(group: string): Promise<readonly Member[]> {
    type Described = { groups: { errorCode: number; members: { clientId: string; clientHost: string }[] }[] }
    const { groups } = await this.coordinators.of<Described>(group, {
      name: 'DescribeGroups',
      args: { groupIds: [group] },
      codes: (answer) => answer.groups.map(({ errorCode }) => errorCode),
    })
    return groups.flatMap(({ members }) =>
      // Java writes an address as name/number, and here without the name.
      members.map(({ clientId, clientHost }) => ({ clientId, host: clientHost.replace(/^\//, '') })),
    )
  }

  /** All groups of the cluster: each broker knows those that it coordinates. */
  async names(): Promise<readonly string[]> {
    const { brokers } = this.coordinators
    const cluster = await brokers.ask((link) => link.metadata(ownTopic))
    brokers.know(cluster.brokers)
    return [...new Set((await Promise.all(cluster.brokers.map((broker) => this.#namesAt(broker)))).flat())]
  }

  async #namesAt(broker: Address): Promise<string[]> {
    type Listed = { errorCode: number; groups: { groupId: string }[] }
    const { groups } = await this.coordinators.at<Listed>(broker, {
      name: 'ListGroups',
      args: {},
      codes: ({ errorCode }) => [errorCode],
    })
    return groups.map(({ groupId }) => groupId)
  }
}

function codesOf({ responses }: PerTopic<object>): number[] {
  return responses.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
}
