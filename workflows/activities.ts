import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow'
import { activityPauses } from '../src/model/activity-pauses.js'
import type { BatchActivities, BatchInput, BatchResult, ControlActivities } from '../src/model/batch.js'
import { batchQueue, type Revision } from '../src/model/revision.js'
import { shortSummary } from '../src/model/summary.js'

/** Temporal takes the batch from a worker that is gone after the heartbeat timeout; nothing else limits a slow handler. */
const longest = '24 hours'
/** A batch that no worker takes within this time has no worker with its config version left. */
const untaken = '30 seconds'

/** Control activities are short. They retry forever: the workflow could do nothing with their failure. */
export function control({ queues, timing }: Revision, summary: string): ControlActivities {
  return proxyActivities<ControlActivities>({
    taskQueue: queues.control,
    summary: shortSummary(summary),
    startToCloseTimeout: '5 minutes',
    heartbeatTimeout: timing.heartbeatTimeoutMs,
    retry: pausesOf('control'),
  })
}

/** The group's one activity that waits. */
export function waiting({ queues, timing }: Revision, summary: string): Pick<ControlActivities, 'poll'> {
  return proxyActivities<ControlActivities>({
    taskQueue: queues.control,
    summary: shortSummary(summary),
    startToCloseTimeout: longest,
    heartbeatTimeout: timing.heartbeatTimeoutMs,
    retry: pausesOf('control'),
  })
}

/** Resolves once a worker with this version of the config is running. */
export function presence({ queues }: Revision, version: string): Promise<void> {
  const { present } = proxyActivities<BatchActivities>({
    taskQueue: batchQueue(queues, version),
    summary: `wait for a worker with config ${version}`,
    startToCloseTimeout: '1 minute',
  })
  return present()
}

/** Hands a batch to a worker that holds this version of the config. */
export function process(
  { queues, timing }: Revision,
  { version, summary, id }: { readonly version: string; readonly summary: string; readonly id: string },
  input: BatchInput,
): Promise<BatchResult> {
  const { process } = proxyActivities<BatchActivities>({
    taskQueue: batchQueue(queues, version),
    summary: shortSummary(summary),
    activityId: id,
    startToCloseTimeout: longest,
    scheduleToStartTimeout: untaken,
    heartbeatTimeout: timing.heartbeatTimeoutMs,
    // The worker finishes the chunks in hand and reports its positions, so a plain handler gets no message twice.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    // For a batch whose worker is gone: another worker tries at once, however often this happens. A batch that fails sets its
    // own delay, from the consumer's retry option.
    retry: pausesOf('process'),
  })
  return process(input)
}

function pausesOf(activity: keyof typeof activityPauses) {
  const { first, longest } = activityPauses[activity]
  return { initialInterval: first, maximumInterval: longest }
}
