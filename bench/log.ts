import type { LogJob } from './job.js'
import type { IsPoison } from './message.js'

/** A log that a bench writes to, so that contenders read from it. */
export interface Log {
  /** What a contender has to know to read a topic or super stream of that name. */
  jobOf(name: string): LogJob
  create(name: string, partitions: number): Promise<void>
  /** Writes `count` messages, evenly over the partitions; resolves when the broker has confirmed them. */
  fill(name: string, partitions: number, count: number, isPoison?: IsPoison): Promise<void>
  /** Writes one message, stamped with the time now; resolves when the broker has it. */
  send(name: string, partition: number, number: number): Promise<void>
  /** Deletes what was created, too. */
  close(): Promise<void>
}
