import { defaultSlices } from '../model/partition.js'
import type { ConsumerSettings } from '../model/settings.js'

/*
 * What a group costs in Temporal Cloud, computed from its settings. Billable are activities that are scheduled, heartbeats, signals, and
 * memos; looking at workflows, and what a batch does with its log and its database, are not. `npm run bench -- --actions`
 * measures the same.
 */

/** The settings that decide it. */
export type CostSettings = Pick<ConsumerSettings, 'batch' | 'commit' | 'heartbeatTimeoutMs' | 'slices'>

/** Billable actions of one group. */
export interface GroupActions {
  readonly partitions: number
  /** Slices that have partitions. */
  readonly slices: number
  /** Time between two heartbeats, ms. One more is sent when an activity that heartbeats starts. */
  readonly heartbeatEveryMs: number
  /** What each batch of a slice costs. */
  readonly batch: { readonly process: 1; readonly commit: 0 | 1; readonly heartbeats: number }
  /** A slice in which messages never stop, per minute. */
  readonly busySlicePerMinute: number
  /** The whole group per minute, when no slice has messages: the group's one activity that waits for them. */
  readonly restPerMinute: number
  /** The whole group per minute, when messages never stop in any slice. */
  readonly busyPerMinute: number
}

const minute = 60_000
/** The SDK sends a heartbeat once per 0.8 heartbeat timeouts, and at least once in this, ms: workers set it so. */
const longestHeartbeatMs = 60_000
/** How long the group's poll activity lasts before it is scheduled again, ms. */
const pollMs = 60 * minute
/** 730 hours: a twelfth of a year. */
const minutesPerMonth = 730 * 60

/**
 * Computes the actions of a group whose stream has so many partitions. A busy slice's batches last `batch.maxDuration`; batches that
 * reach `batch.maxMessages` before that, partitions in trouble, and commands cost more. A slice that comes to rest and is woken costs a
 * memo, a signal and a batch each time; only where `batch.restAfter` is short can that be more than a busy slice costs.
 */
export function groupActions(settings: CostSettings, partitions: number): GroupActions {
  const slices = Math.min(partitions, settings.slices ?? defaultSlices(partitions))
  const heartbeatEveryMs = Math.min(0.8 * settings.heartbeatTimeoutMs, longestHeartbeatMs)
  const heartbeatsIn = (ms: number) => Math.ceil(ms / heartbeatEveryMs)
  const { maxDurationMs } = settings.batch
  // Other strategies commit inside the batch, which Temporal does not see.
  const commit = settings.commit.after === 'batch' ? 1 : 0
  const batch = { process: 1, commit, heartbeats: heartbeatsIn(maxDurationMs) } as const
  const busySlicePerMinute = ((batch.process + commit + batch.heartbeats) * minute) / maxDurationMs
  const restPerMinute = ((1 + heartbeatsIn(pollMs)) * minute) / pollMs
  const busyPerMinute = restPerMinute + slices * busySlicePerMinute
  return { partitions, slices, heartbeatEveryMs, batch, busySlicePerMinute, restPerMinute, busyPerMinute }
}

/** Dollars a month, at a price per million actions. */
export function dollarsPerMonth(actionsPerMinute: number, pricePerMillion: number): number {
  return (actionsPerMinute * minutesPerMonth * pricePerMillion) / 1_000_000
}
