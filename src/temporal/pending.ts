import { type Client, defaultPayloadConverter, type WorkflowExecutionDescription } from '@temporalio/client'
import type { LoadedDataConverter } from '@temporalio/common'
import type { BatchProgress, BatchTrouble } from '../model/batch.js'
import { held, letGo } from '../model/commands.js'
import { dateOf } from '../model/times.js'
import { decoded } from './codec.js'
import { lastEvents } from './last-events.js'

/** A batch that is under way, or between two tries. */
export interface PendingBatch {
  /** The ID of its activity. */
  readonly id: string
  readonly attempt: number
  readonly trouble: BatchTrouble | null
  /** False: no chunk of it is in hand, and its next try begins with a look for what people have asked it. */
  readonly mayBeInHand: boolean
  /** ISO time: when it was scheduled, or paused by a person. Null where nothing is wrong. */
  readonly since: string | null
  /** ISO times, by partition: since when its handler has been at a chunk, where that takes long. */
  readonly inChunkSince: ReadonlyMap<number, string>
  /** By partition: what its handler needs and is away, and an ISO time. */
  readonly waiting: ReadonlyMap<number, { readonly for: string; readonly since: string }>
}

type PendingActivity = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number]
type Time = NonNullable<NonNullable<PendingActivity['pauseInfo']>['pauseTime']>

/** temporal.api.enums.v1.PendingActivityState */
const [scheduled, paused] = [1, 4]
/** temporal.api.enums.v1.TimeoutType */
const heartbeat = 4

/** The activities of a slice that are batches, with what they say decoded. */
export function batchesAmong(
  { raw }: Pick<WorkflowExecutionDescription, 'raw'>,
  converter: LoadedDataConverter,
): Promise<PendingActivity[]> {
  const batches = (raw.pendingActivities ?? []).filter(({ activityType }) => activityType?.name === 'process')
  return Promise.all(batches.map((batch) => readable(batch, converter)))
}

/** The SDK hands heartbeats and failures of pending activities out as they came. */
async function readable(batch: PendingActivity, converter: LoadedDataConverter): Promise<PendingActivity> {
  const { heartbeatDetails, lastFailure } = batch
  const { payloadCodecs, payloadConverter, failureConverter } = converter
  const payloads = heartbeatDetails?.payloads
  const encoded = lastFailure?.encodedAttributes
  if (!payloads?.length && !encoded) return batch
  const [progress, attributes] = await Promise.all([
    decoded(payloads ?? [], payloadCodecs),
    decoded(encoded ? [encoded] : [], payloadCodecs),
  ])
  const failure = attributes.length > 0 && {
    ...lastFailure,
    message: failureConverter.failureToError({ ...lastFailure, encodedAttributes: attributes[0]! }, payloadConverter)
      .message,
  }
  return { ...batch, heartbeatDetails: { payloads: progress }, ...(failure && { lastFailure: failure }) }
}

/** What is wrong with a batch. A worker that is gone, or that lets go of it, says nothing about the handler. */
export function troubleOf(activity: PendingActivity): BatchTrouble | null {
  const { state, attempt, lastFailure, pauseInfo } = activity
  if (state === paused) {
    const { identity, reason } = pauseInfo?.manual ?? {}
    return { state: 'held', reason: `by ${identity || 'a person'} in Temporal${reason ? `: ${reason}` : ''}` }
  }
  const waiting = waitingOf(activity)
  if (waiting) return waiting
  const error = lastFailure?.applicationFailureInfo
  if (!error || error.type === letGo || error.type === held || Number(attempt) < 2) return null
  return { state: 'retrying', reason: lastFailure.message ?? '' }
}

/** What partitions of the batch wait for, as its last heartbeat says it; null where none does, or no worker has the batch. */
function waitingOf(batch: PendingActivity): BatchTrouble | null {
  const waiting = awaitedBy(batch)
  if (waiting.size === 0) return null
  const all = [...waiting.values()]
  const dependencies = [...new Set(all.map((one) => one.for))].join(', ')
  const since = all.map((one) => one.since).sort()[0]
  return { state: 'waiting', reason: `for ${dependencies} since ${since}`, partitions: [...waiting.keys()] }
}

/**
 * Whether a worker may be handling the batch, or may begin it unasked. Between two tries no worker does, unless the last one timed out:
 * its worker may be cut off and still at work. A first try begins without a look for what people have asked.
 */
export function mayBeInHand({ state, attempt, lastFailure }: PendingActivity): boolean {
  const waits = state === scheduled || state === paused
  return !waits || Number(attempt) < 2 || !lastFailure || !!lastFailure.timeoutFailureInfo
}

/** Whether its last try ended because no heartbeat came: its worker is gone, or stands still, or is cut off. */
export function wasLost({ lastFailure }: PendingActivity): boolean {
  return lastFailure?.timeoutFailureInfo?.timeoutType === heartbeat
}

/** What the batch's last heartbeat says of chunks that take long. A batch between two tries has none in hand. */
export function longChunksOf(batch: PendingActivity): ReadonlyMap<number, string> {
  return byPartition(lastSaid(batch)?.inChunkSince)
}

/** What the batch's last heartbeat says of partitions that wait for something that is away. */
export function awaitedBy(batch: PendingActivity): PendingBatch['waiting'] {
  return byPartition(lastSaid(batch)?.waiting)
}

function byPartition<T>(said: Readonly<Record<string, T>> | undefined): ReadonlyMap<number, T> {
  return new Map(Object.entries(said ?? {}).map(([partition, one]) => [Number(partition), one]))
}

function lastSaid({ state, heartbeatDetails }: PendingActivity): Partial<BatchProgress> | null {
  const payload = heartbeatDetails?.payloads?.[0]
  return !payload || state === scheduled || state === paused ? null : progressIn(payload)
}

/** A heartbeat may say nothing, or come from another build: then nothing is known of its chunks. */
function progressIn(payload: Parameters<typeof defaultPayloadConverter.fromPayload>[0]): Partial<BatchProgress> {
  try {
    return defaultPayloadConverter.fromPayload<Partial<BatchProgress> | null | undefined>(payload) ?? {}
  } catch {
    return {}
  }
}

/** A slice's batches, as Temporal sees them. */
export async function pendingBatches(client: Client, workflowId: string): Promise<PendingBatch[]> {
  const described = await client.workflow.getHandle(workflowId).describe()
  const batches = await batchesAmong(described, client.options.loadedDataConverter)
  return Promise.all(
    batches.map(async (activity) => {
      const { activityId, pauseInfo } = activity
      const id = activityId ?? ''
      const trouble = troubleOf(activity)
      const since =
        trouble === null
          ? null
          : trouble.state === 'held'
            ? iso(pauseInfo?.pauseTime)
            : await scheduledAt(client, workflowId, id)
      return {
        id,
        attempt: Number(activity.attempt),
        trouble,
        mayBeInHand: mayBeInHand(activity),
        since,
        inChunkSince: longChunksOf(activity),
        waiting: awaitedBy(activity),
      }
    }),
  )
}

/** When a pending activity was scheduled, found among the workflow's last events. */
async function scheduledAt(client: Client, workflowId: string, activityId: string): Promise<string | null> {
  const events = await lastEvents(client, { workflowId }, 50)
  const found = events.find((event) => event.activityTaskScheduledEventAttributes?.activityId === activityId)
  return iso(found?.eventTime)
}

function iso(time: Time | null | undefined): string | null {
  return dateOf(Number(time?.seconds ?? 0) * 1000)?.toISOString() ?? null
}
