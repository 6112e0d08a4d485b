import { describePartition } from '../../src/model/partition.js'
import type { Partition } from './partition.js'

/** For the summaries of activities: `orders[0], orders[1], orders[2] and 5 more`. */
export function namesOf(stream: string, partitions: readonly Partition[]): string {
  const names = partitions.slice(0, 3).map(({ index }) => describePartition({ stream, partition: index }))
  return partitions.length > 3 ? `${names.join(', ')} and ${partitions.length - 3} more` : names.join(', ')
}
