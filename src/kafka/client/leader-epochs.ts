/*
 * Asks where an epoch of a leader ends in the log of the present one (KIP-320), which kafkajs can't. Reading a topic is enough of a
 * right for it since version 3. https://kafka.apache.org/protocol#The_Messages_OffsetForLeaderEpoch
 */

/** The last version before requests became "flexible". Brokers have it since Kafka 2.3. */
export const epochEndsVersion = 3

export interface EpochQuestion {
  readonly partition: number
  /** Of the leader that is asked: a broker with another one refuses. */
  readonly leaderEpoch: number
  /** The one asked about. */
  readonly epoch: number
}

export interface EpochEnd {
  readonly partition: number
  readonly errorCode: number
  /** The one asked about, or the newest before it that the log has; -1 where it has none. */
  readonly epoch: number
  /** Where the next epoch begins, or the log ends; -1 where the log has none. */
  readonly offset: bigint
}

/** A consumer, rather than a broker's replica. */
const consumer = -1

export function epochEndsRequest(topic: string, questions: readonly EpochQuestion[]): Buffer {
  const name = Buffer.from(topic)
  const body = Buffer.alloc(4 + 4 + 2 + name.length + 4 + questions.length * 12)
  let at = body.writeInt32BE(consumer)
  at = body.writeInt32BE(1, at) // topics
  at = body.writeInt16BE(name.length, at)
  at += name.copy(body, at)
  at = body.writeInt32BE(questions.length, at)
  for (const { partition, leaderEpoch, epoch } of questions) {
    at = body.writeInt32BE(partition, at)
    at = body.writeInt32BE(leaderEpoch, at)
    at = body.writeInt32BE(epoch, at)
  }
  return body
}

/**
 * Reads the response's body.
 *
 * @throws RangeError when it is cut off
 */
export function readEpochEnds(body: Buffer): EpochEnd[] {
  const ends: EpochEnd[] = []
  let at = 8 // behind the throttle time
  for (let topics = body.readInt32BE(4); topics > 0; topics--) {
    at += 2 + body.readInt16BE(at)
    const count = body.readInt32BE(at)
    at += 4
    for (let i = 0; i < count; i++, at += 18)
      ends.push({
        errorCode: body.readInt16BE(at),
        partition: body.readInt32BE(at + 2),
        epoch: body.readInt32BE(at + 6),
        offset: body.readBigInt64BE(at + 10),
      })
  }
  return ends
}
