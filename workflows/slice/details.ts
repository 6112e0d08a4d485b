import type { SliceInput } from '../../src/model/commands.js'
import type { Partition } from './partition.js'

/** The states of a slice's partitions, for search and for the page. `running` is a healthy partition that nobody has paused. */
export function statesOf(partitions: readonly Partition[]): string[] {
  return [...new Set(partitions.flatMap(statesOfOne))].sort()
}

function statesOfOne({ paused, condition }: Partition): string[] {
  const states = condition === 'healthy' ? [] : [condition as string]
  if (paused) states.push('paused')
  return states.length > 0 ? states : ['running']
}

/** The page that the Temporal UI shows for a slice: a table of its partitions. Costs no history events. */
export function detailsOf({ name, slice }: SliceInput, version: string, partitions: readonly Partition[]): string {
  const rows = partitions.map((partition) => {
    const { index, progress, paused, resting } = partition
    const states = statesOfOne(partition).map((state) => (state === 'running' && resting ? 'waiting' : state))
    const { reason, since } = partition.report()
    const why = [paused && `${paused.reason} (${paused.by}, ${paused.since})`, reason && `${reason} (since ${since})`]
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
