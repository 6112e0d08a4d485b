/** Names a consumer: a group and the stream it reads. */
export interface GroupName {
  readonly group: string
  readonly stream: string
}

/** Names one consumer's partition: the unit of ownership, progress and offsets. */
export interface PartitionKey extends GroupName {
  /** Index of the partition within its stream, from 0. */
  readonly partition: number
}

/** `orders[3]`, as people read it in errors, summaries and logs. */
export function describePartition(key: Pick<PartitionKey, 'stream' | 'partition'>): string {
  return `${key.stream}[${key.partition}]`
}

/**
 * A name as a part of an ID, where `/` separates the parts. A percent sign changes only where it would be taken for what stands for
 * another one: names without slashes look as they are, as a rule.
 */
export function idPart(name: string): string {
  return name.replace(/\/|%(?=2F|25)/g, (found) => (found === '/' ? '%2F' : '%25'))
}

/** Names a consumer of a stream in Temporal: the group workflow's ID. */
export function groupWorkflowId(group: string, stream: string): string {
  return `tidemark/${idPart(group)}/${idPart(stream)}`
}

/** Names one consumer's partition everywhere: a transactional ID in Kafka, for example. */
export function partitionPath({ group, stream, partition }: PartitionKey): string {
  return `${groupWorkflowId(group, stream)}/${partition}`
}

/** The slice workflow's ID. Temporal runs one workflow of an ID at a time, so a partition has one owner. */
export function sliceWorkflowId({ group, stream }: GroupName, slice: number): string {
  return `${groupWorkflowId(group, stream)}/${slice}`
}

/** Which slice owns a partition. The answer does not depend on how many partitions the stream has, so it never changes as the stream grows. */
export function sliceOf(partition: number, slices: number): number {
  return partition % slices
}

/** Partitions by the slice that owns them. A slice without partitions is absent. */
export function bySlice(partitions: readonly number[], slices: number): Map<number, number[]> {
  const found = new Map<number, number[]>()
  for (const partition of partitions) {
    const slice = sliceOf(partition, slices)
    found.set(slice, [...(found.get(slice) ?? []), partition])
  }
  return found
}

/** More slices than this would cost more than they gain. */
export const mostSlices = 1_000

/** How many slices a group gets when the consumer's options name no number. */
export function defaultSlices(partitions: number): number {
  return partitions > 1_024 ? 64 : 16
}

/** `0 to 3, 7, 8`, of numbers in any order: three in a row or more are a range. `none` of no numbers. */
export function ranges(numbers: Iterable<number>): string {
  const rows: number[][] = []
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const row = rows.at(-1)
    if (row && number === row.at(-1)! + 1) row.push(number)
    else rows.push([number])
  }
  return rows.map((row) => (row.length < 3 ? row.join(', ') : `${row[0]} to ${row.at(-1)}`)).join(', ') || 'none'
}

/** `partition 3`, `partitions 0 to 2, 9`. */
export function partitionsNamed(partitions: readonly number[], noun: 'partition' | 'Partition' = 'partition'): string {
  return `${noun}${new Set(partitions).size === 1 ? '' : 's'} ${ranges(partitions)}`
}

/**
 * Stable name of one message's handling, for handlers whose effects leave the database: a retry repeats it, a deliberate
 * reset (which grows `replay`) does not.
 */
export function idempotencyKey(key: PartitionKey, offset: bigint, replay: number): string {
  return `${idPart(key.group)}/${idPart(key.stream)}/${key.partition}/${offset}/${replay}`
}
