import type { BrokerAddress } from './driver.js'

/*
 * Asks for a topic's id (KIP-516) and the epochs of its leaders (KIP-320). Version 10 of Metadata tells both, beyond what kafkajs
 * knows; from version 9 on requests are "flexible" (KIP-482): lengths are varints of one more than they count, and every structure
 * ends with tagged fields. https://kafka.apache.org/protocol#The_Messages_Metadata
 */

/** Brokers have it since Kafka 2.8. Those before 2.4 know epochs, too, but tell old ones while a partition is moved. */
export const topicVersion = 10

/** What Kafka writes for an epoch that it does not know, and brokers that are asked about one do not check. */
export const noEpoch = -1

const noTags = 0
const idBytes = 16
const noId = Buffer.alloc(idBytes)

export interface TopicMetadata {
  readonly errorCode: number
  /** In hexadecimal; null where the cluster gives none, or the topic is not there. */
  readonly id: string | null
  readonly brokers: readonly BrokerAddress[]
  readonly partitions: readonly PartitionLeader[]
}

export interface PartitionLeader {
  readonly partition: number
  /** Its node, or -1 while an election is under way. */
  readonly leader: number
  /** Grows with every election. -1 where the cluster is too old to say. */
  readonly epoch: number
}

/** The body of a Metadata request for one topic, with what its header has more than kafkajs writes. */
export function topicRequest(topic: string): Buffer {
  const name = Buffer.from(topic)
  return Buffer.concat([
    // Header version 2 is version 1, which kafkajs writes, with tagged fields behind it.
    Buffer.of(noTags),
    varint(1 + 1),
    noId,
    varint(name.length + 1),
    name,
    Buffer.of(noTags),
    // No creation of topics, no authorized operations of cluster and topic.
    Buffer.of(0, 0, 0),
    Buffer.of(noTags),
  ])
}

/** Reads the response, from behind its correlation id to the end of the topic's partitions. */
export function readTopic(raw: Buffer): TopicMetadata {
  const at = new Cursor(raw)
  at.skipTags()
  at.skip(4) // throttle time
  const brokers = at.list((): BrokerAddress => {
    const broker = { nodeId: at.int32(), host: at.text()!, port: at.int32(), rack: at.text() }
    at.skipTags()
    return broker
  })
  at.text() // cluster
  at.skip(4) // controller
  if (at.varint() < 2) throw new Error('the broker answered a question for a topic with none')
  const errorCode = at.take(2).readInt16BE()
  at.text()
  const id = at.take(idBytes)
  at.skip(1) // internal
  const partitions = at.list((): PartitionLeader => {
    at.skip(2) // error: a partition without a leader has leader -1
    const found = { partition: at.int32(), leader: at.int32(), epoch: at.int32() }
    // Replicas, those in sync, those offline.
    for (let lists = 0; lists < 3; lists++) at.list(() => at.skip(4))
    at.skipTags()
    return found
  })
  return { errorCode, id: id.equals(noId) ? null : id.toString('hex'), brokers, partitions }
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.of(...bytes, rest)
}

class Cursor {
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  take(count: number): Buffer {
    const end = this.#at + count
    if (end > this.bytes.length) throw new Error('the broker sent less than it announced')
    const taken = this.bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }

  skip(count: number): void {
    this.take(count)
  }

  varint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.take(1)[0]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
  }

  int32(): number {
    return this.take(4).readInt32BE()
  }

  /** A text, or null, whose length is written as 0. */
  text(): string | null {
    const length = this.varint() - 1
    return length < 0 ? null : this.take(length).toString('utf8')
  }

  list<T>(read: () => T): T[] {
    const all: T[] = []
    for (let left = this.varint() - 1; left > 0; left--) all.push(read())
    return all
  }

  skipTags(): void {
    for (let tags = this.varint(); tags > 0; tags--) {
      this.varint() // its number
      this.skip(this.varint())
    }
  }
}
