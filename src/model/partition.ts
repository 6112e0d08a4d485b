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

/** Names a consumer of a stream in Temporal: the group workflow's ID. */
export function groupWorkflowId(group: string, stream: string): string {
  return `tidemark/${group}/${stream}`
}

/** The partition workflow's ID. Its uniqueness is what makes a partition have one owner. */
export function partitionWorkflowId(key: PartitionKey): string {
  return `${groupWorkflowId(key.group, key.stream)}/${key.partition}`
}

/**
 * Stable name of one message's handling, for handlers whose effects leave the database: a retry repeats it, a deliberate
 * reset (which grows `replay`) does not.
 */
export function idempotencyKey(key: PartitionKey, offset: bigint, replay: number): string {
  return `${key.group}/${key.stream}/${key.partition}/${offset}/${replay}`
}
