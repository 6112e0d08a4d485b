import { Context } from '@temporalio/activity'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { activityPauses } from '../model/activity-pauses.js'
import { letGo } from '../model/commands.js'
import type { GroupName } from '../model/partition.js'
import type { TestClock } from './clock.js'
import type { Life } from './life.js'

/** An activity that has failed and waits for its next try. */
interface Waiting {
  readonly name: GroupName
  readonly partitions: readonly number[]
  /** When that is due, ms since 1970 in the server's time; no later than it really is. */
  readonly dueAt: number
}

/** The parts of activities' inputs that say what they are about. */
interface Input {
  readonly name: GroupName
  readonly partitions?: readonly { readonly partition: number }[]
}

/** What the kit's workers are doing, and what waits for its next try. */
export class Work {
  /** Activities that are running. */
  inHand = 0
  /** Grows with everything that begins or ends. */
  changes = 0
  /** Called when a batch has ended, before it counts as ended. */
  afterBatch: () => Promise<unknown> = async () => {}
  readonly #waiting = new Map<string, Waiting>()

  constructor(private readonly clock: TestClock) {}

  /** Whether a partition waits for the next try of an activity that is not due yet. */
  waits(name: GroupName, partition: number, now: number): boolean {
    return [...this.#waiting.values()].some(
      (one) =>
        one.name.group === name.group &&
        one.name.stream === name.stream &&
        one.partitions.includes(partition) &&
        one.dueAt > now,
    )
  }

  /** A worker's activities, as Temporal calls them during a life of that worker. */
  around<A extends object>(life: Life, activities: A): A {
    const wrapped = Object.entries(activities).map(([name, run]) => [
      name,
      (input: Input) => this.#during(name, input, () => untilKilled(life, () => run(input))),
    ])
    return Object.fromEntries(wrapped) as A
  }

  async #during(activity: string, { name, partitions = [] }: Input, run: () => Promise<unknown>): Promise<unknown> {
    const { info } = Context.current()
    const id = `${info.workflowExecution?.runId}/${info.activityId}`
    this.#waiting.delete(id)
    this.inHand++
    this.changes++
    try {
      return await run()
    } catch (error) {
      const pause = pauseAfter(activity, info.attempt, error)
      if (pause !== null) {
        const dueAt = (await this.clock.now()) + pause
        this.#waiting.set(id, { name, partitions: partitions.map(({ partition }) => partition), dueAt })
      }
      throw error
    } finally {
      // What can't be told now is told when somebody waits for it, who hears why.
      if (activity === 'process') await this.afterBatch().catch(() => {})
      this.inHand--
      this.changes++
    }
  }
}

/**
 * Runs an activity of a worker that may be killed. Temporal would miss the worker after the heartbeat timeout, but skips no time before
 * that, so it is told at once, and tries the activity again when the timeout would be over.
 */
async function untilKilled(life: Life, run: () => Promise<unknown>): Promise<unknown> {
  try {
    return await life.unlessKilled(run())
  } catch (error) {
    if (!life.killed) throw error
    const { heartbeatTimeoutMs } = Context.current().info
    throw ApplicationFailure.create({
      message: 'the worker was killed',
      type: letGo,
      ...(heartbeatTimeoutMs && { nextRetryDelay: heartbeatTimeoutMs }),
    })
  }
}

/** How long Temporal waits before it tries an activity again, ms; null where it does not. */
function pauseAfter(activity: string, attempt: number, error: unknown): number | null {
  if (error instanceof CancelledFailure) return null
  if (error instanceof ApplicationFailure) {
    if (error.nonRetryable) return null
    if (error.nextRetryDelay !== undefined && error.nextRetryDelay !== null) return Number(error.nextRetryDelay)
  }
  const { first, longest } = activityPauses[activity === 'process' ? activity : 'control']
  return Math.min(longest, first * 2 ** (attempt - 1))
}
