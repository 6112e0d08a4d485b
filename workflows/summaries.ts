import type { NoteInput } from '../src/model/batch.js'
import { describePartition, partitionsNamed } from '../src/model/partition.js'
import type { Partition } from './slice/partition.js'

/* What the Temporal UI shows beside an activity's type, and in one list without it: so each says what it is about. */

/** `orders[0], orders[4], orders[8] and 3 more` */
export function namesOf(stream: string, partitions: readonly Pick<Partition, 'index'>[]): string {
  const names = partitions.slice(0, 3).map(({ index }) => describePartition({ stream, partition: index }))
  return partitions.length > 3 ? `${names.join(', ')} and ${partitions.length - 3} more` : names.join(', ')
}

/** `write down: partition 10 paused by ann@laptop` */
export function noteSummary({ what, by, partitions }: Omit<NoteInput, 'name'>): string {
  const which = partitions ? partitionsNamed(partitions) : 'group'
  return `write down: ${which} ${what} by ${by}`
}
