import { messageOf } from '../model/errors.js'
import { type GroupName, partitionsNamed } from '../model/partition.js'
import type { GroupRecord } from '../ports/index.js'
import type { GroupWorkflow } from '../temporal/group-workflow.js'
import type { GroupView } from './status.js'
import { stopInForce } from './stopped.js'

/** What was found out about a group; null for what is not there. */
export interface Findings {
  readonly workflow: GroupWorkflow | null
  readonly record: GroupRecord | null
  /** What its workers say. */
  readonly view: GroupView | null
  /** Why they say nothing; null where they were not asked. */
  readonly unanswered: unknown
}

/** Why a group that should run does not, in a sentence. Null where it runs, has finished, or a person has paused or stopped it. */
export function problemOf({ group, stream }: GroupName, findings: Findings): string | null {
  const { workflow, record, view, unanswered } = findings
  const pausedAlone = (partition: number) => record?.paused.partitions.has(partition) ?? false
  if (stopInForce(record, workflow) || workflow?.state === 'finished') return null
  if (record?.paused.group || (record && record.partitions.length > 0 && record.partitions.every(pausedAlone)))
    return null
  const name = `group ${group} on ${stream}`
  if (!workflow)
    return `${name} does not run: ${record ? 'its workflow is not there' : 'it was never started'}; start it with 'tidemark start'`
  if (workflow.state !== 'running')
    return `${name} does not run: ${workflow.why}; a running worker starts it again within a minute, and so does 'tidemark start'`
  if (!view) return `${name}: ${messageOf(unanswered)}`
  const gone = view.partitions
    .filter(({ state, partition }) => state === 'not running' && !pausedAlone(partition))
    .map(({ partition }) => partition)
  if (gone.length === 0) return null
  return `${name}: ${partitionsNamed(gone)} can't run, since the workflow of the slice is gone; the group starts it again within a minute`
}
