import type { StoppedPartition } from '../model/commands.js'
import type { GroupRecord, Stop } from '../ports/index.js'
import type { PartitionPosition } from './positions.js'
import { type PartitionView, pauseReason } from './status.js'

/** Offsets are decimal text, times ISO text. Null where nobody says. */
export interface PartitionLine {
  readonly partition: number
  /**
   * `idle` runs and waits for messages; `stopped` with its group; `stopped (no worker)` where nothing is known to be wrong, and no worker is
   * there to handle it; `unknown` where Temporal can't be asked.
   */
  readonly state: PartitionView['state'] | 'idle' | 'stopped' | Unheard
  readonly reason: string
  readonly since: string | null
  /** What its handler needs and is away, and since when; null where it waits for nothing. */
  readonly waitsFor: { readonly for: string; readonly since: string } | null
  /** Messages that are set aside, and their keys. Null where the handlers' database can't be asked. */
  readonly letters: { readonly messages: number; readonly keys: number } | null
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

/** What a partition is that nobody says anything about: by whether its group's workflow runs, or can't be looked at. */
export type Unheard = 'stopped (no worker)' | 'not running' | 'unknown'

/** What is known of a group where no worker answers. */
export interface Evidence {
  readonly unheard: Unheard
  /** That a person has stopped the group. */
  readonly stop: Stop | null
  readonly record: GroupRecord | null
  /** Its blocked and fenced partitions, by the memos of its slices. */
  readonly reports: readonly StoppedPartition[]
}

/** A partition's state where no worker says it: what people have decided holds even so, and a blocked partition stays blocked. */
export function withoutWorkers(
  partition: number,
  { unheard, stop, record, reports }: Evidence,
  stored?: Pick<PartitionPosition, 'replay'>,
): LineState {
  if (stop) return { state: 'stopped', reason: stop.why, since: stop.at.toISOString(), working: false }
  const report = reports.find((one) => one.partition === partition && !isOutdated(one, stored))
  const view = report && { state: report.condition, reason: report.reason, since: report.since, working: false }
  const pause = record?.paused.partitions.get(partition) ?? record?.paused.group
  if (!pause) return view ?? { state: unheard, reason: '', since: '', working: false }
  return { state: 'paused', reason: pauseReason(pause.why, view), since: pause.at.toISOString(), working: false }
}

/** A person has moved the position since: the slice is told, and opens the partition there once a worker runs. */
function isOutdated({ replay }: StoppedPartition, stored?: Pick<PartitionPosition, 'replay'>): boolean {
  return replay !== undefined && (stored?.replay ?? replay) > replay
}

/** A partition's state, by its workers or by the group's record. */
export type LineState = Omit<PartitionView, 'state' | 'partition'> & { readonly state: PartitionLine['state'] }

export function lineOf(
  partition: number,
  told: LineState,
  stored?: PartitionPosition,
  letters: PartitionLine['letters'] = null,
): PartitionLine {
  // Each of them was asked at another moment. A position never lies behind what is committed.
  const committed = text(stored?.committed) ?? told.committed ?? null
  return {
    partition,
    state: told.state === 'running' && !told.working ? 'idle' : told.state,
    reason: told.reason || stored?.remark || '',
    since: told.since || null,
    waitsFor: told.waitsFor ?? null,
    letters,
    position: farther(isCurrent(told, stored) ? told.position : undefined, committed),
    committed,
    first: text(stored?.first),
    // Not the workers' head: it is as old as their last look.
    head: text(stored?.head),
    lag: text(stored?.lag),
    timeLagMs: stored?.timeLagMs ?? null,
    updatedAt: stored?.updatedAt?.toISOString() ?? null,
    epoch: stored?.epoch ?? told.epoch ?? null,
    replay: stored?.replay ?? null,
    batch: told.batch ?? null,
    messages: told.messages ?? null,
    config: told.config ?? null,
  }
}

/** After a reset, a paused partition is told of its new position when it is resumed. */
function isCurrent({ epoch }: LineState, stored: PartitionPosition | undefined): boolean {
  return epoch === undefined || epoch >= (stored?.epoch ?? 0)
}

function farther(position: string | undefined, committed: string | null): string | null {
  if (position === undefined) return committed
  return committed !== null && BigInt(committed) > BigInt(position) ? committed : position
}

export function text(value: bigint | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value)
}
