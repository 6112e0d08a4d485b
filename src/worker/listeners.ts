import { messageOf } from '../model/errors.js'
import type {
  PartitionBlocked,
  PartitionCaughtUp,
  PartitionFenced,
  PartitionObserver,
} from '../model/partition-events.js'
import type { Log } from '../ports/index.js'

/**
 * What a worker tells. Listeners are called at once, in the order they were added. A listener may be async: nobody waits for it. One that
 * throws or rejects is logged, and harms neither the worker nor other listeners. Nothing here reaches Temporal.
 */
export interface WorkerEvents {
  /** It asks Temporal for work. */
  started: () => void
  /** It has ended, and everything it has opened is closed. The error is what `run` rejects with. */
  stopped: (error: Error | null) => void
  /**
   * A partition that this worker had has stopped in front of something that retrying can't mend. Told again each time the partition is
   * tried again and stops again, for example when a worker starts.
   */
  blocked: (partition: PartitionBlocked) => void
  /** A partition that this worker had was taken by an owner with a newer epoch. Told by its batch, and perhaps by its last commit as well. */
  fenced: (partition: PartitionFenced) => void
  /**
   * A partition has handled everything up to the head that its log named when the last messages were fetched. Told for the first time
   * when this worker, having handled at least one message of the partition since it was opened (or reset), reaches the head. Told
   * again only after the partition has fallen behind: two chunks in a row that ended before the head. A partition that is opened at
   * its head, and messages that come one by one, are no news.
   */
  caughtUp: (partition: PartitionCaughtUp) => void
}

/** Those who want to hear of a worker's events. */
export class Listeners implements PartitionObserver {
  readonly #of: { [E in keyof WorkerEvents]: WorkerEvents[E][] } = {
    started: [],
    stopped: [],
    blocked: [],
    fenced: [],
    caughtUp: [],
  }

  constructor(private readonly log: Log) {}

  add<E extends keyof WorkerEvents>(event: E, listener: WorkerEvents[E]): void {
    this.#of[event].push(listener)
  }

  tell<E extends keyof WorkerEvents>(event: E, ...args: Parameters<WorkerEvents[E]>): void {
    for (const listener of [...this.#of[event]]) this.#call(event, () => Reflect.apply(listener, undefined, args))
  }

  blocked(event: PartitionBlocked): void {
    this.tell('blocked', event)
  }

  fenced(event: PartitionFenced): void {
    this.tell('fenced', event)
  }

  caughtUp(event: PartitionCaughtUp): void {
    this.tell('caughtUp', event)
  }

  #call(event: keyof WorkerEvents, listener: () => unknown): void {
    const failed = (how: string) => (error: unknown) =>
      this.log.error({ error: messageOf(error) }, `a listener of the worker's '${event}' has ${how}`)
    try {
      // An async listener returns a promise, whatever its type says.
      Promise.resolve(listener()).catch(failed('rejected'))
    } catch (error) {
      failed('thrown')(error)
    }
  }
}
