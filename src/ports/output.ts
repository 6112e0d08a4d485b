import type { ConnectContext } from './context.js'
import type { OutputProgressLog } from './progress.js'
import type { OutputRecord } from './record.js'

/* An output is a log that handlers write to. */

/** A log that handlers write messages to, in a user's config. */
export interface Output {
  readonly kind: string
  /** What people see of it, and the config's version. Never a secret. */
  readonly describe: Readonly<Record<string, unknown>>
  /** What the handler of a chunk may have waiting to be sent, bytes. */
  readonly maxBufferedBytes: number
  /** Opens connections. Throws UNREACHABLE or AUTH_FAILED after *one* try; the worker does the waiting. */
  connect(context: ConnectContext): Promise<OutputClient>
}

/** One consumer's way to an output. */
export interface OutputClient {
  /**
   * Writes messages, those of one partition in their order. Resolves when all of them are acknowledged and can't get lost. Throws
   * OUTPUT_FAILED, naming topic and partition but nothing of a message: some of them may have been written nevertheless.
   */
  send(records: readonly OutputRecord[]): Promise<void>
  /** Progress in the same log, whose transactions have `send`; for logs that can commit messages and positions together. */
  readonly progress?: OutputProgressLog
  close(): Promise<void>
}
