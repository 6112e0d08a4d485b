import type { PauseNote } from '../src/model/batch.js'
import type {
  GroupStatus,
  PartitionProgress,
  PartitionReport,
  SliceInput,
  TroubledBatch,
} from '../src/model/commands.js'
import { type GroupName, partitionsNamed, sliceOf, sliceWorkflowId } from '../src/model/partition.js'
import { type Column, page, plain, readable, table } from './markdown.js'
import type { Partition } from './slice/partition.js'

/** The states of a slice's partitions, for search and for the page. `running` is a healthy partition that nobody has paused. */
export function statesOf(partitions: readonly Partition[], troubled: readonly TroubledBatch[] = []): string[] {
  return [...new Set(partitions.flatMap((one) => statesOfOne(one, batchOf(one, troubled))))].sort()
}

function statesOfOne({ paused, condition }: Pick<Partition, 'paused' | 'condition'>, batch?: TroubledBatch): string[] {
  const states = condition === 'healthy' ? [] : [condition as string]
  if (paused) states.push('paused')
  if (batch) states.push(batch.state)
  return states.length > 0 ? states : ['running']
}

function batchOf({ index }: Partition, troubled: readonly TroubledBatch[]): TroubledBatch | undefined {
  return troubled.find(({ partitions }) => partitions.includes(index))
}

const sliceColumns: readonly Column[] = [
  { name: 'partition', align: 'right' },
  { name: 'state' },
  { name: 'position', align: 'right' },
  { name: 'committed', align: 'right' },
  { name: 'head', align: 'right' },
  { name: 'lag', align: 'right' },
  { name: 'why' },
]

/** The page that the Temporal UI shows for a slice: a table of its partitions. Costs no history events. */
export function detailsOf(
  { name, slice }: SliceInput,
  version: string,
  partitions: readonly Partition[],
  troubled: readonly TroubledBatch[] = [],
): string {
  const rows = partitions.map((partition) => {
    const { index, progress, paused, resting } = partition
    const batch = batchOf(partition, troubled)
    const states = statesOfOne(partition, batch).map((state) => (state === 'running' && resting ? 'idle' : state))
    const stands = paused !== null || partition.condition !== 'healthy' || batch !== undefined
    return [String(index), states.join(', '), ...placesOf(progress, stands), whyOf(paused, partition.report(), batch)]
  })
  return page(
    `Slice ${slice} of ${plain(name.stream)} for the group ${plain(name.group)}, config ${version}.`,
    'Positions are those after the last batch of each partition. Pending Activities shows the batches under way.',
    table(sliceColumns, rows),
  )
}

const groupColumns: readonly Column[] = [
  { name: 'partition', align: 'right' },
  { name: 'slice', align: 'right' },
  { name: 'state' },
  { name: 'why' },
]

/** The page of a group: what is paused, and which partitions are not healthy, with links to their slices. */
export function groupDetailsOf({ group, stream, revision, version, slices, ...status }: GroupStatus): string {
  const count = status.partitions.length === 1 ? '1 partition' : `${status.partitions.length} partitions`
  const paragraphs = [
    `The group ${plain(group)} reads ${count} of ${plain(stream)} in ${slices === 1 ? '1 slice' : `${slices} slices`}. ` +
      `Config ${revision.version} was started at ${readable(revision.startedAt)} by ${plain(revision.startedBy)}.`,
  ]
  if (version !== undefined && version !== revision.version)
    paragraphs.push(
      `**No worker holds config ${revision.version}.** Those with ${version} handle the batches until one is back.`,
    )
  const { pauses } = status
  if (pauses.group) paragraphs.push(`**The whole group is paused** ${whyPaused(pauses.group)}`)
  const notes = new Map(pauses.partitions.map((note) => [note.partition, note]))
  const reports = new Map(status.reports.map((report) => [report.partition, report]))
  const standing = status.partitions.filter((partition) => notes.has(partition) || reports.has(partition))
  const rows = standing.map((partition) => {
    const paused = notes.get(partition) ?? null
    const report = reports.get(partition)
    const slice = sliceOf(partition, slices)
    const link = `[${slice}](namespaces/{namespace}/workflows/${encodeURIComponent(sliceWorkflowId({ group, stream }, slice))})`
    const states = statesOfOne({ paused, condition: report?.condition ?? 'healthy' })
    return [String(partition), link, states.join(', '), whyOf(paused, report)]
  })
  if (rows.length > 0) paragraphs.push(table(groupColumns, rows))
  const batches = Object.values(status.troubled ?? {}).flat()
  for (const batch of batches)
    paragraphs.push(`**${partitionsNamed(batch.partitions, 'Partition')}**: ${whyTroubled(batch)}`)
  if (rows.length === 0 && batches.length === 0 && !pauses.group)
    paragraphs.push('No partition is paused or in trouble. The slices, under Relationships, show positions.')
  return page(...paragraphs)
}

/** The last page of a group that a person has cancelled. */
export function stoppedDetailsOf({ group, stream }: GroupName): string {
  return page(
    `**The group ${plain(group)} on ${plain(stream)} is stopped**: its workflow was cancelled in Temporal. ` +
      `\`tidemark resume --group ${group} --stream ${stream}\` starts it again.`,
  )
}

function placesOf(progress: PartitionProgress | undefined, stands: boolean): string[] {
  if (!progress) return ['–', '–', '–', '–']
  const { position, committed, head } = progress
  const lag = BigInt(head) - BigInt(committed)
  // Nobody looks at the head of a partition that stands, and it can only have grown.
  const least = stands ? '≥\u00a0' : ''
  return [position, committed, `${least}${head}`, `${least}${lag > 0n ? lag : 0n}`]
}

function whyOf(paused: PauseNote | null, report: PartitionReport | undefined, batch?: TroubledBatch): string {
  const why = []
  if (paused) why.push(`paused ${whyPaused(paused)}`)
  if (report?.reason) why.push(`since ${readable(report.since)}: ${plain(report.reason)}`)
  if (batch) why.push(whyTroubled(batch))
  return why.join('; ')
}

function whyTroubled({ state, since, reason }: TroubledBatch): string {
  return `${state} since ${readable(since)}: ${plain(reason)}`
}

function whyPaused({ by, since, reason }: PauseNote): string {
  return `by ${plain(by)} since ${readable(since)}: ${plain(reason)}`
}
