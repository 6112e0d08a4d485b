import type { ProducerIdentity } from './batch.js'
import { groupBy } from './group-by.js'
import { Scanner, Writer } from './wire-format.js'

/*
 * The requests of a producer, each in the one version written here, which brokers have since Kafka 2.5. kafkajs carries
 * them; its own producer is not used: it sends nothing for a partition that moves to a broker which has already answered, takes a
 * newer batch for a repeated one after a failure, and can't ask for stable offsets (KIP-447).
 */

/** One kind of request. */
export interface Api<A, R> {
  readonly key: number
  /** In the form in which kafkajs looks up versions. */
  readonly definition: object
  readonly args?: A
  readonly result?: R
}

function api<A, R>(
  key: number,
  version: number,
  name: string,
  write: (to: Writer, args: A) => Writer,
  read: (from: Scanner) => R,
): Api<A, R> {
  const protocol = ({ version: known }: { version: number }) => {
    if (known !== version)
      throw new Error(
        `the broker speaks version ${known} of ${name}; Tidemark needs version ${version} (Kafka 2.5 or newer)`,
      )
    return (args: A) => ({
      request: {
        apiKey: key,
        apiVersion: version,
        apiName: name,
        encode: async () => {
          const { bytes } = write(new Writer(), args)
          return { buf: bytes, buffer: bytes }
        },
      },
      response: { decode: async (raw: Buffer) => read(new Scanner(raw)) },
    })
  }
  return { key, definition: { versions: [version], protocol } }
}

/** An error code behind the time to stay silent. */
function code(from: Scanner): number {
  from.int32()
  return from.int16()
}

/**
 * Of codes by topic and partition, behind the time to stay silent, the first that says anything. 55 (OPERATION_NOT_ATTEMPTED) only says
 * that another failed.
 */
function worstOfPartitions(from: Scanner): { code: number } {
  from.int32()
  const codes = from
    .array(() => {
      from.string()
      return from.array(() => {
        from.int32()
        return from.int16()
      })
    })
    .flat()
  return { code: codes.find((one) => one !== 0 && one !== 55) ?? codes.find((one) => one !== 0) ?? 0 }
}

export interface EncodedBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
}

export const produce = api(
  0,
  7,
  'Produce',
  (to, args: { transactionalId: string | null; timeoutMs: number; batches: readonly EncodedBatch[] }) => {
    const byTopic = groupBy(args.batches, ({ topic }) => topic)
    return to
      .string(args.transactionalId)
      .int16(-1)
      .int32(args.timeoutMs)
      .array([...byTopic], ([topic, batches]) =>
        to.string(topic).array(batches, ({ partition, bytes }) => to.int32(partition).int32(bytes.length).raw(bytes)),
      )
  },
  (from) =>
    from
      .array(() => {
        const topic = from.string()!
        return from.array(() => {
          const answer = { topic, partition: from.int32(), code: from.int16() }
          from.int64() // base offset
          from.int64() // append time
          from.int64() // first offset of the log
          return answer
        })
      })
      .flat(),
)

export const findCoordinator = api(
  10,
  1,
  'FindCoordinator',
  (to, { id, kind }: { id: string; kind: 'group' | 'transaction' }) => to.string(id).int8(kind === 'group' ? 0 : 1),
  (from) => {
    const answer = code(from)
    from.string()
    return { code: answer, nodeId: from.int32(), host: from.string()!, port: from.int32() }
  },
)

export const initProducerId = api(
  22,
  1,
  'InitProducerId',
  (to, args: { transactionalId: string | null; timeoutMs: number }) =>
    to.string(args.transactionalId).int32(args.timeoutMs),
  (from) => ({ code: code(from), producerId: from.int64(), producerEpoch: from.int16() }),
)

const identified = (to: Writer, { transactionalId, producerId, producerEpoch }: ProducerIdentity) =>
  to.string(transactionalId).int64(producerId).int16(producerEpoch)

export const addPartitions = api(
  24,
  1,
  'AddPartitionsToTxn',
  (to, args: ProducerIdentity & { partitions: readonly { topic: string; partition: number }[] }) => {
    const byTopic = groupBy(args.partitions, ({ topic }) => topic)
    return identified(to, args).array([...byTopic], ([topic, all]) =>
      to.string(topic).array(all, ({ partition }) => to.int32(partition)),
    )
  },
  worstOfPartitions,
)

export const addOffsets = api(
  25,
  1,
  'AddOffsetsToTxn',
  (to, args: ProducerIdentity & { group: string }) => identified(to, args).string(args.group),
  (from) => ({ code: code(from) }),
)

export const endTransaction = api(
  26,
  1,
  'EndTxn',
  (to, args: ProducerIdentity & { commit: boolean }) => identified(to, args).int8(args.commit ? 1 : 0),
  (from) => ({ code: code(from) }),
)

export const commitOffset = api(
  28,
  1,
  'TxnOffsetCommit',
  (
    to,
    args: ProducerIdentity & { group: string; topic: string; partition: number; offset: bigint; metadata: string },
  ) =>
    to
      .string(args.transactionalId)
      .string(args.group)
      .int64(args.producerId)
      .int16(args.producerEpoch)
      .array([args], () =>
        to.string(args.topic).array([args], () => to.int32(args.partition).int64(args.offset).string(args.metadata)),
      ),
  worstOfPartitions,
)

/** The first version that can be told to wait for transactions under way, by an error. It has the flexible layout of KIP-482. */
export const fetchOffset = api(
  9,
  7,
  'OffsetFetch',
  (to, args: { group: string; topic: string; partition: number; stable: boolean }) =>
    // The tags of the request's header, which kafkajs doesn't write, and those of its parts.
    to
      .uvarint(0)
      .compactString(args.group)
      .uvarint(2)
      .compactString(args.topic)
      .uvarint(2)
      .int32(args.partition)
      .uvarint(0)
      .int8(args.stable ? 1 : 0)
      .uvarint(0),
  (from) => {
    from.skipTags()
    from.int32()
    const found = from
      .compactArray(() => {
        from.compactString()
        const partitions = from.compactArray(() => {
          from.int32()
          const offset = from.int64()
          from.int32() // leader epoch
          const metadata = from.compactString()
          const one = { offset, metadata, code: from.int16() }
          from.skipTags()
          return one
        })
        from.skipTags()
        return partitions
      })
      .flat()[0]
    const whole = from.int16()
    return { code: whole || (found?.code ?? 0), offset: found?.offset ?? -1n, metadata: found?.metadata ?? null }
  },
)
