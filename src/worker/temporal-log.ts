import { ApplicationFailure } from '@temporalio/common'
import { DefaultLogger, type LogLevel, type LogMetadata } from '@temporalio/worker'
import { held } from '../model/commands.js'
import { messageOf } from '../model/errors.js'
import type { Log } from '../ports/index.js'
import { setUpRuntime } from './sdk-runtime.js'

/** Logs of this process's workers, by their task queue; the newest is the last. */
const logs: { readonly log: Log; readonly taskQueue: string }[] = []

/**
 * Sends the SDK's own log to a worker's, until the returned function is called. Its routine news are only for debugging. The SDK has one
 * log for a process, which can be set once and before anything else: if the process has set it before, it stays as it is.
 *
 * @param metrics whether the SDK is to count, too: that is set at the same time
 */
export async function sendTemporalLogTo(
  log: Log,
  { taskQueue, metrics }: { readonly taskQueue: string; readonly metrics: boolean },
): Promise<() => void> {
  await setUpRuntime(logger, { log, metrics })
  const entry = { log, taskQueue }
  logs.push(entry)
  return () => {
    const index = logs.indexOf(entry)
    if (index >= 0) logs.splice(index, 1)
  }
}

const logger = new DefaultLogger('INFO', ({ level, message, meta }) => {
  if (isLeftOut(message, meta ?? {})) return
  const line = translate(level, message, meta ?? {})
  // A worker's other task queues have names that begin with its own.
  const queue = String(meta?.taskQueue ?? '')
  const about = logs.findLast(({ taskQueue }) => queue === taskQueue || queue.startsWith(`${taskQueue}/`))
  const to = (about ?? logs.at(-1))?.log
  to?.[line.level](line.fields, line.text)
})

/**
 * Whether a line of the SDK is left out. What fails in a batch is told of its partitions (activities/story), in growing intervals. Other
 * activities are told after 1, 2, 4, 8 ... tries, and Temporal's pauses between these grow as well.
 */
export function isLeftOut(message: string, { activityType, attempt, error }: LogMetadata): boolean {
  if (message !== 'Activity failed') return false
  if (activityType === 'process') return !(error instanceof ApplicationFailure && error.type === held)
  return typeof attempt === 'number' && (attempt & (attempt - 1)) !== 0
}

interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly text: string
}

const levelOf: Record<LogLevel, Line['level']> = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
}

/** The SDK's log lines, reworded for readers who know consumers rather than Temporal workers. */
export function translate(level: LogLevel, message: string, meta: LogMetadata): Line {
  // By design: workflows have a worker of their own.
  if (/^No (workflows|activities) registered/.test(message)) return { level: 'debug', fields: {}, text: message }
  const { error, workflowId, activityType, attempt } = meta
  if (message === 'Activity failed')
    return {
      level: levelOf[level],
      fields: { workflowId, attempt },
      text: `${activityType} failed, try ${attempt}: ${messageOf(error)}`,
    }
  // pino shows an Error only under `err`, and then with the stack.
  const fields = error === undefined ? meta : { ...meta, error: messageOf(error) }
  return { level: levelOf[level], fields, text: `temporal: ${message}` }
}
