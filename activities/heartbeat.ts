import { Context } from '@temporalio/activity'

/**
 * Heartbeats on a timer, so that a handler which awaits something slow is not taken for dead. The SDK sends at most one per
 * throttle interval; the details are for people who look at the pending activity in the Temporal UI.
 *
 * @returns stops the timer
 */
export function heartbeats(timeoutMs: number, details: () => unknown): () => void {
  const context = Context.current()
  const beat = () => context.heartbeat(details())
  beat()
  const timer = setInterval(beat, Math.max(100, timeoutMs / 5))
  return () => clearInterval(timer)
}
