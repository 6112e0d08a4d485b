/*
 * Two independent facts describe a partition: whether people have paused it, and its condition. Only people change the first one; the
 * table below is the second one.
 *
 *   event        healthy    retrying   blocked    fenced     finished
 *   troubled     retrying   retrying   .          .          .
 *   recovered    .          healthy    .          .          .
 *   blocked      blocked    blocked    .          .          .
 *   fenced       fenced     fenced     fenced     .          .
 *   finished     finished   finished   .          .          .
 *   started      .          .          healthy    .          .
 *   configured   .          healthy    healthy    .          healthy
 *   resumed      .          .          healthy    healthy    .
 *   reopened     .          healthy    healthy    healthy    healthy
 */

/**
 * - `healthy`  working, or waiting for messages
 * - `retrying` apart from its neighbours, since its handler fails; Temporal retries its batch
 * - `blocked`  in front of something that retrying can't mend; continues after a fix (a worker that starts) or `resume`
 * - `fenced`   another owner with a newer epoch took the partition; `resume` takes it back
 * - `finished` at the end that the consumer's `until` names; the group ends when all its partitions are there
 */
export type Condition = 'healthy' | 'retrying' | 'blocked' | 'fenced' | 'finished'

/**
 * - `troubled`   its handler failed
 * - `recovered`  a batch apart has handled something
 * - `blocked`    something that retrying can't mend
 * - `fenced`     a newer owner was found
 * - `finished`   the end of a bounded run
 * - `started`    a worker has started with the same config
 * - `configured` a worker has started with another config
 * - `resumed`    by a person
 * - `reopened`   the stored position was changed by a person or a policy
 */
export type ConditionEvent =
  | 'troubled'
  | 'recovered'
  | 'blocked'
  | 'fenced'
  | 'finished'
  | 'started'
  | 'configured'
  | 'resumed'
  | 'reopened'

const transitions: Readonly<Record<ConditionEvent, Readonly<Partial<Record<Condition, Condition>>>>> = {
  troubled: { healthy: 'retrying', retrying: 'retrying' },
  recovered: { retrying: 'healthy' },
  blocked: { healthy: 'blocked', retrying: 'blocked' },
  fenced: { healthy: 'fenced', retrying: 'fenced', blocked: 'fenced' },
  finished: { healthy: 'finished', retrying: 'finished' },
  started: { blocked: 'healthy' },
  configured: { retrying: 'healthy', blocked: 'healthy', finished: 'healthy' },
  resumed: { blocked: 'healthy', fenced: 'healthy' },
  reopened: { retrying: 'healthy', blocked: 'healthy', fenced: 'healthy', finished: 'healthy' },
}

/** The condition after an event; the same one where the event changes nothing. */
export function conditionAfter(condition: Condition, event: ConditionEvent): Condition {
  return transitions[event][condition] ?? condition
}

/** Whether a partition in this condition can be worked. */
export function isWorkable(condition: Condition): boolean {
  return condition === 'healthy' || condition === 'retrying'
}
