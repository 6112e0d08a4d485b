import type { GroupName } from '../model/partition.js'
import type { PartitionPosition } from '../ports/index.js'

/** Partitions named in the warning. */
const named = 5

/** What a person should know of offsets that another consumer has left under the name of a group, and can do. */
export function foreignText({ group, stream }: GroupName, foreign: readonly PartitionPosition[]): string {
  const places = foreign.slice(0, named).map(({ partition, position }) => `partition ${partition} at ${position}`)
  const more = foreign.length > named ? ` and ${foreign.length - named} more` : ''
  return (
    `another consumer has left offsets as group ${group} on ${stream}: ${places.join(', ')}${more}. Tidemark does not begin there, and ` +
    "does not show its own offset of such a partition until it has handled messages beyond the other consumer's. " +
    `To go on from there: 'tidemark adopt --group ${group} --stream ${stream}'. ` +
    "To overwrite them: 'tidemark start --overwrite-offsets'"
  )
}
