import type { GroupRecord, Stop } from '../ports/index.js'
import type { PartitionPosition } from './positions.js'
import type { PartitionView } from './status.js'

/** Offsets are decimal text, times ISO text. Null where nobody says. */
export interface PartitionLine {
  readonly partition: number
  /** `idle` runs and waits for messages; `stopped` with its group; `unknown` where no worker says. */
  readonly state: PartitionView['state'] | 'idle' | 'stopped' | 'unknown'
  readonly reason: string
  readonly since: string | null
  /** Where the next batch begins: ahead of `committed` by what is not committed yet. */
  readonly position: string | null
  readonly committed: string | null
  readonly first: string | null
  readonly head: string | null
  readonly lag: string | null
  readonly timeLagMs: number | null
  readonly updatedAt: string | null
  readonly epoch: number | null
  readonly replay: number | null
  readonly batch: number | null
  readonly messages: number | null
  /** Version of the config that the next batch is worked with. */
  readonly config: string | null
}

/** A partition's state where no worker says it: what people have decided holds even so. */
export function byRecord(partition: number, stop: Stop | null, record: GroupRecord | null): LineState | undefined {
  const pause = record?.paused.partitions.get(partition) ?? record?.paused.group
  const decided = stop ?? pause
  if (!decided) return undefined
  return { state: stop ? 'stopped' : 'paused', reason: decided.why, since: decided.at.toISOString(), working: false }
}

/** A partition's state, by its workers or by the group's record. */
export type LineState = Omit<PartitionView, 'state' | 'partition'> & { readonly state: PartitionLine['state'] }

export function lineOf(partition: number, told?: LineState, stored?: PartitionPosition): PartitionLine {
  // Each of them was asked at another moment. A position never lies behind what is committed.
  const committed = text(stored?.committed) ?? told?.committed ?? null
  return {
    partition,
    state: told ? (told.state === 'running' && !told.working ? 'idle' : told.state) : 'unknown',
    reason: told?.reason || stored?.remark || '',
    since: told?.since || null,
    position: farther(told?.position, committed),
    committed,
    first: text(stored?.first),
    // Not the workers' head: it is as old as their last look.
    head: text(stored?.head),
    lag: text(stored?.lag),
    timeLagMs: stored?.timeLagMs ?? null,
    updatedAt: stored?.updatedAt?.toISOString() ?? null,
    epoch: stored?.epoch ?? told?.epoch ?? null,
    replay: stored?.replay ?? null,
    batch: told?.batch ?? null,
    messages: told?.messages ?? null,
    config: told?.config ?? null,
  }
}

function farther(position: string | undefined, committed: string | null): string | null {
  if (position === undefined) return committed
  return committed !== null && BigInt(committed) > BigInt(position) ? committed : position
}

export function text(value: bigint | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value)
}
