import type { SliceInput, TroubledBatch } from '../src/model/commands.js'
import type { Partition } from './partition.js'

/** The states of a slice's partitions, for search and for the page. `running` is a healthy partition that nobody has paused. */
export function statesOf(partitions: readonly Partition[], troubled: readonly TroubledBatch[] = []): string[] {
  return [...new Set(partitions.flatMap((one) => statesOfOne(one, batchOf(one, troubled))))].sort()
}

function statesOfOne({ paused, condition }: Partition, batch: TroubledBatch | undefined): string[] {
  const states = condition === 'healthy' ? [] : [condition as string]
  if (paused) states.push('paused')
  if (batch) states.push(batch.state)
  return states.length > 0 ? states : ['running']
}

function batchOf({ index }: Partition, troubled: readonly TroubledBatch[]): TroubledBatch | undefined {
  return troubled.find(({ partitions }) => partitions.includes(index))
}

/** The page that the Temporal UI shows for a slice: a table of its partitions. Costs no history events. */
export function detailsOf(
  { name, slice }: SliceInput,
  version: string,
  partitions: readonly Partition[],
  troubled: readonly TroubledBatch[],
): string {
  const rows = partitions.map((partition) => {
    const { index, progress, paused, resting } = partition
    const batch = batchOf(partition, troubled)
    const states = statesOfOne(partition, batch).map((state) => (state === 'running' && resting ? 'waiting' : state))
    const { reason, since } = partition.report()
    const why = [
      paused && `${paused.reason} (${paused.by}, ${paused.since})`,
      reason && `${reason} (since ${since})`,
      batch && `${batch.state} ${batch.reason} (since ${batch.since})`,
    ]
    const place = progress
      ? [progress.position, progress.committed, progress.head, lagOf(progress.head, progress.committed)]
      : ['', '', '', '']
    return `| ${[index, states.join(', '), ...place, why.filter(Boolean).join('; ').replaceAll('|', '\\|')].join(' | ')} |`
  })
  return [
    `Slice ${slice} of ${name.stream} for the group ${name.group}, config ${version}. As of its last batch:`,
    '',
    '| partition | state | position | committed | head | lag | why |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

function lagOf(head: string, committed: string): string {
  const lag = BigInt(head) - BigInt(committed)
  return String(lag > 0n ? lag : 0n)
}
