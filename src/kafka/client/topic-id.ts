/*
 * Asks for a topic's id (KIP-516). It came with version 10 of Metadata, beyond what kafkajs knows; from version 9 on requests
 * are "flexible" (KIP-482): lengths are varints of one more than they count, and every structure ends with tagged fields.
 */

/** Brokers have it since Kafka 2.8. */
export const topicIdVersion = 10

const noTags = 0
const idBytes = 16
const noId = Buffer.alloc(idBytes)

export interface TopicId {
  readonly errorCode: number
  /** In hexadecimal; null where the cluster gives none, or the topic is not there. */
  readonly id: string | null
}

/** The body of a Metadata request for one topic, with what its header has more than kafkajs writes. */
export function topicIdRequest(topic: string): Buffer {
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

/** Reads a Metadata response, from behind its correlation id up to the first topic's id. */
export function readTopicId(raw: Buffer): TopicId {
  const at = new Cursor(raw)
  at.skipTags()
  at.skip(4) // throttle time
  for (let brokers = at.varint() - 1; brokers > 0; brokers--) {
    at.skip(4) // node
    at.skipText()
    at.skip(4) // port
    at.skipText() // rack
    at.skipTags()
  }
  at.skipText() // cluster
  at.skip(4) // controller
  if (at.varint() < 2) throw new Error('the broker answered a question for a topic with none')
  const errorCode = at.take(2).readInt16BE()
  at.skipText()
  const id = at.take(idBytes)
  return { errorCode, id: id.equals(noId) ? null : id.toString('hex') }
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

  /** A text, or null, whose length is written as 0. */
  skipText(): void {
    this.skip(Math.max(0, this.varint() - 1))
  }

  skipTags(): void {
    for (let tags = this.varint(); tags > 0; tags--) {
      this.varint() // its number
      this.skip(this.varint())
    }
  }
}
