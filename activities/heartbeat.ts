import { Context } from '@temporalio/activity'

/**
 * Heartbeats on a timer, so that a handler which awaits something slow is not taken for dead. Temporal bills heartbeats: the SDK sends
 * one per 0.8 heartbeat timeouts at most. The details are for people who look at the pending activity in the Temporal UI.
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

/** The same for an activity that is short as a rule: it heartbeats only when it lasts longer than half its timeout. */
export async function heartbeatingIfLong<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const context = Context.current()
  let stop = () => {}
  const late = setTimeout(() => {
    const timer = setInterval(() => context.heartbeat(), Math.max(100, timeoutMs / 5))
    context.heartbeat()
    stop = () => clearInterval(timer)
  }, timeoutMs / 2)
  try {
    return await work()
  } finally {
    clearTimeout(late)
    stop()
  }
}
