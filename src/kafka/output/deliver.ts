import { isTidemarkError, messageOf, TidemarkError } from '../../model/errors.js'
import type { OutputRecord } from '../../ports/index.js'
import { pause } from '../../reading/backoff.js'
import type { BrokerAddress } from '../client/driver.js'
import { codeName, producerHintOf, producerMeaningOf } from '../client/error-codes.js'
import { encodeBatch, type ProducerIdentity, sizeOf } from './batch.js'
import type { Cluster } from './cluster.js'
import { groupBy } from './group-by.js'
import { type EncodedBatch, produce } from './protocol.js'

/** Below the brokers' default `max.message.bytes`, 1,048,588, also for what does not compress. */
const batchBytes = 900 * 1024
const batchRecords = 10_000
/** A broker reads a request as a whole; its default `socket.request.max.bytes` is 100MB. */
const requestBytes = 8 * 1024 * 1024

/** A record that knows where it goes. */
export interface Placed {
  readonly record: OutputRecord
  readonly partition: number
}

/** Records for one partition that are written together or not at all. */
export interface Batch<P extends Placed = Placed> {
  readonly topic: string
  readonly partition: number
  readonly placed: P[]
  bytes: number
}

/** Puts records into batches, in their order. */
export function batchesOf<P extends Placed>(all: Iterable<P>): Batch<P>[] {
  const batches: Batch<P>[] = []
  const open = new Map<string, Batch<P>>()
  for (const placed of all) {
    const { record, partition } = placed
    const name = `${record.topic} ${partition}`
    const size = sizeOf(record)
    let batch = open.get(name)
    if (!batch || batch.bytes + size > batchBytes || batch.placed.length >= batchRecords) {
      batch = { topic: record.topic, partition, placed: [], bytes: 0 }
      open.set(name, batch)
      batches.push(batch)
    }
    batch.placed.push(placed)
    batch.bytes += size
  }
  return batches
}

/** Why a batch was not written, and whether because of a newer producer of the same transactional id. */
export class DeliveryFailed extends TidemarkError {
  constructor(
    { topic, partition }: { topic: string; partition: number },
    reason: string,
    readonly fenced = false,
    /** Set where the cluster is away, or lets nobody in: no message is the cause. */
    cause?: TidemarkError,
  ) {
    super('OUTPUT_FAILED', `could not write to output topic '${topic}', partition ${partition}: ${reason}`, {
      place: { stream: topic, partition },
      ...(cause && { cause }),
    })
  }
}

/** Where each partition's sequence stands. Belongs to one producer id and epoch. */
export class Sequences {
  readonly #next = new Map<string, number>()

  /** Numbers go from 0 to 2^31 - 1 and begin again. */
  take(topic: string, partition: number, count: number): number {
    const name = `${topic} ${partition}`
    const first = this.#next.get(name) ?? 0
    this.#next.set(name, (first + count) % 2 ** 31)
    return first
  }
}

/**
 * Writes batches, those of one partition one after the other, and waits until all replicas in sync have them. What is tried again
 * keeps its sequence number and is byte for byte the same, so that brokers know a repetition.
 *
 * @returns what could not be written, and why. Where there is any, the producer's sequence is lost: it must not be used again.
 */
export async function deliver<P extends Placed>(
  cluster: Cluster,
  identity: ProducerIdentity,
  sequences: Sequences,
  batches: readonly Batch<P>[],
): Promise<Map<Batch<P>, DeliveryFailed>> {
  const failed = new Map<Batch<P>, DeliveryFailed>()
  const queues = [...groupBy(batches, ({ topic, partition }) => `${topic} ${partition}`).values()]
  const encoded = new Map<Batch<P>, EncodedBatch>()
  const until = performance.now() + cluster.settings.deliveryTimeoutMs
  const { compression } = cluster.settings

  /** Everything behind a lost batch is lost with it: it would come out of sequence. */
  const lose = (queue: Batch<P>[], error: DeliveryFailed) => {
    for (const batch of queue.splice(0)) failed.set(batch, error)
  }

  for (let tries = 0; ; ) {
    const heads = queues.filter((queue) => queue.length > 0)
    if (heads.length === 0) return failed
    for (const [batch] of heads) {
      if (encoded.has(batch!)) continue
      const { topic, partition, placed } = batch!
      const sequence = sequences.take(topic, partition, placed.length)
      const records = placed.map(({ record }) => record)
      encoded.set(batch!, { topic, partition, bytes: await encodeBatch(records, sequence, identity, compression) })
    }
    const problems = await round(cluster, identity, heads, encoded)
    for (const queue of heads) {
      const batch = queue[0]!
      const { code, reason } = problems.get(batch)!
      const meaning = code === null ? 'again' : producerMeaningOf(code)
      if (meaning === 'done') {
        encoded.delete(queue.shift()!)
        continue
      }
      const why = code === null ? reason : `Kafka answered ${codeName(code)}${producerHintOf(code)}`
      if (meaning !== 'again') lose(queue, new DeliveryFailed(batch, why, meaning === 'fenced'))
      else if (performance.now() > until || cluster.signal.aborted)
        lose(queue, new DeliveryFailed(batch, why, false, new TidemarkError('UNREACHABLE', why)))
    }
    const again = heads.filter(([batch]) => batch && problems.has(batch))
    if (again.length === 0) {
      tries = 0
      continue
    }
    await pause(++tries, cluster.signal)
    await Promise.all(
      again.map(async (queue) => {
        const batch = queue[0]!
        await cluster
          .leaders(batch.topic)
          .refresh()
          .catch((error) => {
            if (error instanceof TidemarkError && error.code === 'UNREACHABLE') return
            const cause = isTidemarkError(error) ? error : undefined
            lose(queue, new DeliveryFailed(batch, messageOf(error), false, cause))
          })
      }),
    )
  }
}

interface Outcome {
  /** Null when no answer came. */
  readonly code: number | null
  readonly reason: string
}

/** One request to each broker that leads any of these queues' first batches. */
async function round<P extends Placed>(
  cluster: Cluster,
  { transactionalId }: ProducerIdentity,
  queues: readonly Batch<P>[][],
  encoded: ReadonlyMap<Batch<P>, EncodedBatch>,
): Promise<Map<Batch<P>, Outcome>> {
  const outcomes = new Map<Batch<P>, Outcome>()
  const byLeader = new Map<BrokerAddress, Batch<P>[]>()
  for (const [batch] of queues) {
    const leader = await cluster
      .leaders(batch!.topic)
      .of(batch!.partition)
      .catch((error: unknown) => error)
    if (leader && typeof leader === 'object' && 'nodeId' in leader) {
      const address = leader as BrokerAddress
      byLeader.set(address, [...(byLeader.get(address) ?? []), batch!])
    } else outcomes.set(batch!, { code: null, reason: leader ? messageOf(leader) : 'it has no leader now' })
  }
  const timeoutMs = cluster.settings.connection.requestTimeoutMs
  const requests = [...byLeader].flatMap(([leader, batches]) => inRequests(batches).map((some) => ({ leader, some })))
  await Promise.all(
    requests.map(async ({ leader, some }) => {
      try {
        const args = { transactionalId, timeoutMs, batches: some.map((batch) => encoded.get(batch)!) }
        const answers = await cluster.ask(leader, produce, args)
        for (const batch of some) {
          const answer = answers.find((one) => one.topic === batch.topic && one.partition === batch.partition)
          outcomes.set(batch, { code: answer?.code ?? null, reason: 'the broker said nothing about it' })
        }
      } catch (error) {
        for (const batch of some) outcomes.set(batch, { code: null, reason: messageOf(error) })
      }
    }),
  )
  return outcomes
}

function inRequests<P extends Placed>(batches: readonly Batch<P>[]): Batch<P>[][] {
  const requests: Batch<P>[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const batch of batches) {
    if (bytes + batch.bytes > requestBytes) {
      requests.push([])
      bytes = 0
    }
    requests.at(-1)!.push(batch)
    bytes += batch.bytes
  }
  return requests
}
