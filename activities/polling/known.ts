import type { PollInput } from '../../src/model/batch.js'
import type { GroupRecord } from '../../src/ports/index.js'

/**
 * Whether a group's record holds decisions that the group does not know. A pause that only the group knows does not count: then the
 * record may be the older one.
 */
export function knowsMore(
  record: GroupRecord,
  { generation, pauses }: Pick<PollInput, 'generation' | 'pauses'>,
): boolean {
  if (record.stopped !== null || record.generation > generation) return true
  if (record.paused.group !== null && pauses.group === null) return true
  const known = new Set(pauses.partitions.map(({ partition }) => partition))
  return [...record.paused.partitions.keys()].some((partition) => !known.has(partition))
}
