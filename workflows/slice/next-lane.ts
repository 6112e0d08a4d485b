import type { Lane, LaneKind } from './lane.js'
import type { Partition } from './partition.js'

/** Partitions in trouble that are worked apart at the same time. When more are in trouble, the slice backs off as one. */
export const mostApart = 4
/** Batches of healthy partitions at the same time: one as a rule, and some for partitions that became ready while it was under way. */
const mostShared = 4

export interface NextLane {
  readonly kind: LaneKind
  readonly partitions: readonly Partition[]
}

/** The batch to start next, if any: of partitions that are ready and in no lane yet. */
export function nextLane(partitions: Iterable<Partition>, lanes: ReadonlySet<Lane>): NextLane | null {
  const ready = [...partitions].filter((partition) => partition.ready && !laneOf(partition, lanes))
  const shared = sharedOf(lanes).length
  const troubled = ready.find(({ apart }) => apart)
  if (troubled && lanes.size - shared < mostApart) return { kind: 'apart', partitions: [troubled] }
  if (shared === 0) return ready.length > 0 ? { kind: 'slice', partitions: ready } : null
  // More are in trouble than can be worked apart: they wait for the next batch of all.
  const healthy = ready.filter(({ apart }) => !apart)
  return healthy.length > 0 && shared < mostShared ? { kind: 'late', partitions: healthy } : null
}

export function laneOf(partition: Partition | undefined, lanes: ReadonlySet<Lane>): Lane | undefined {
  return partition && [...lanes].find(({ members }) => members.has(partition))
}

export function sharedOf(lanes: ReadonlySet<Lane>): Lane[] {
  return [...lanes].filter(({ kind }) => kind !== 'apart')
}
