import { describePartition, type GroupName, mostSlices, sliceWorkflowId } from '../model/partition.js'
import { batchQueue, queuesOf } from '../model/revision.js'
import type { OffsetStore } from '../ports/index.js'

/** Options of a consumer that have to fit each other. Undefined where one was left out and its default adapts. */
interface Given {
  readonly batch: { readonly maxMessages: number; readonly maxDuration: number; readonly idleGap: number }
  readonly chunk: {
    readonly maxMessages?: number | undefined
    readonly fetchBytes?: number | undefined
    readonly targetDuration: number | null
  }
  readonly chunkTimeout: number | null
  readonly retry: { readonly initialInterval: number; readonly maximumInterval?: number | undefined }
}

/**
 * Where options that are right by themselves do not fit each other: the field, and why.
 *
 * @param memory of the worker, bytes
 */
export function disagreements({ batch, chunk, chunkTimeout, retry }: Given, memory: number): readonly string[] {
  const found: (string | false)[] = [
    retry.maximumInterval !== undefined &&
      retry.maximumInterval < retry.initialInterval &&
      `retry.maximumInterval: ${retry.maximumInterval} ms is shorter than retry.initialInterval, ${retry.initialInterval} ms: raise it, or lower the other`,
    chunk.maxMessages !== undefined &&
      chunk.maxMessages > batch.maxMessages &&
      `chunk.maxMessages: ${chunk.maxMessages} is more than batch.maxMessages, ${batch.maxMessages}: a chunk is a part of a batch; lower it, or raise the other`,
    chunk.fetchBytes !== undefined &&
      chunk.fetchBytes > memory &&
      `chunk.fetchBytes: ${chunk.fetchBytes} bytes is more than the config's memory, ${memory} bytes: lower it, or raise memory`,
    chunkTimeout !== null &&
      chunk.targetDuration !== null &&
      chunkTimeout <= chunk.targetDuration &&
      `chunkTimeout: ${chunkTimeout} ms is not longer than chunk.targetDuration, ${chunk.targetDuration} ms, which chunks grow to take: each would be ended; raise it, or lower the other`,
  ]
  return found.filter((one) => one !== false)
}

/** Temporal's limit for workflow IDs, activity IDs and names of task queues, in bytes. `limit.maxIDLength` */
const longestId = 1_000

/**
 * Says where Temporal's IDs would be too long, all of which hold the names of the group and its stream; null where they are not.
 *
 * @param version the one that is given; others have 8 letters
 */
export function longNames({ group, stream }: GroupName, taskQueue: string, version = 'a'.repeat(8)): string | null {
  const name = { group, stream }
  const ids = [
    sliceWorkflowId(name, mostSlices),
    batchQueue(queuesOf(taskQueue, 'a'.repeat(12), name), version),
    // Epoch and batch are counted.
    `${describePartition({ stream, partition: 99_999 })} epoch ${'9'.repeat(20)} batch ${'9'.repeat(20)}`,
  ]
  const longest = Math.max(...ids.map((id) => Buffer.byteLength(id)))
  if (longest <= longestId) return null
  return `the names of the group, its stream and the taskQueue are too long together: Temporal takes IDs of ${longestId} bytes, and theirs would have ${longest}. Shorten the group's name`
}

/** Says which two of a list of stores are the same; null where each is another one. */
export function sameTwice(stores: readonly OffsetStore[]): string | null {
  const names = stores.map(({ kind, describe }) => JSON.stringify([kind, describe]))
  const second = names.findIndex((name, index) => names.indexOf(name) < index)
  if (second < 0) return null
  return `store[${names.indexOf(names[second]!)}] and store[${second}] are the same ${stores[second]!.kind} store; leave one of them out`
}
