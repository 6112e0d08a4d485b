import type { OwnApi } from './coordinators.js'

/*
 * Deletes offsets of a group (KIP-496), which kafkajs can't. Brokers do it since Kafka 2.4.
 * https://kafka.apache.org/protocol#The_Messages_OffsetDelete
 */

export interface OffsetDeletion {
  readonly group: string
  readonly topic: string
  readonly partitions: readonly number[]
}

export interface OffsetsDeleted {
  /** About the group as a whole; 0 where that is in order. */
  readonly errorCode: number
  readonly partitions: readonly { readonly partition: number; readonly errorCode: number }[]
}

export const deleteOffsets: OwnApi = {
  key: 47,
  definition: {
    versions: [0],
    protocol: () => (deletion: OffsetDeletion) => ({
      request: {
        apiKey: 47,
        apiVersion: 0,
        apiName: 'OffsetDelete',
        encode: async () => {
          const body = deletionRequest(deletion)
          return { buf: body, buffer: body }
        },
      },
      response: { decode: async (raw: Buffer) => readDeleted(raw) },
    }),
  },
}

export function deletionRequest({ group, topic, partitions }: OffsetDeletion): Buffer {
  const names = [group, topic].map((name) => Buffer.from(name)) as [Buffer, Buffer]
  const body = Buffer.alloc(2 + names[0].length + 4 + 2 + names[1].length + 4 + 4 * partitions.length)
  let at = body.writeInt16BE(names[0].length)
  at += names[0].copy(body, at)
  at = body.writeInt32BE(1, at) // topics
  at = body.writeInt16BE(names[1].length, at)
  at += names[1].copy(body, at)
  at = body.writeInt32BE(partitions.length, at)
  for (const partition of partitions) at = body.writeInt32BE(partition, at)
  return body
}

/**
 * Reads the response's body.
 *
 * @throws RangeError when it is cut off
 */
export function readDeleted(body: Buffer): OffsetsDeleted {
  const partitions: { partition: number; errorCode: number }[] = []
  let at = 10 // behind the error code, the throttle time and the number of topics
  for (let topics = body.readInt32BE(6); topics > 0; topics--) {
    at += 2 + body.readInt16BE(at)
    const count = body.readInt32BE(at)
    at += 4
    for (let i = 0; i < count; i++, at += 6)
      partitions.push({ partition: body.readInt32BE(at), errorCode: body.readInt16BE(at + 4) })
  }
  return { errorCode: body.readInt16BE(0), partitions }
}
