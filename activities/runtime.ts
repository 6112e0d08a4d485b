import type { HandlerKind } from '../src/handlers/handler.js'
import type { Until } from '../src/handlers/until.js'
import type { PartitionKey } from '../src/model/partition.js'
import type { Queues } from '../src/model/revision.js'
import type { ConsumerSettings } from '../src/model/settings.js'
import type { ByteBudget, Log, OffsetStoreClient, ProgressLog, SourceClient } from '../src/ports/index.js'
import type { Deduplicator } from './handling/dedupe.js'
import type { RuntimeOutput } from './handling/outputs.js'

/** What a worker gives to the activities of one consumer. */
export interface ConsumerRuntime {
  readonly settings: ConsumerSettings
  readonly version: string
  readonly queues: Queues
  readonly handler: HandlerKind
  readonly source: SourceClient
  readonly store: OffsetStoreClient
  /** Keeps brokers from forgetting the offset of a partition that waits. Fails nobody. */
  readonly keepOffset: (key: PartitionKey) => Promise<void>
  /** In the database that the handler writes to. */
  readonly progress: ProgressLog
  readonly dedupe?: Deduplicator
  readonly output?: RuntimeOutput
  readonly until?: Until
  readonly budget: ByteBudget
  readonly cluster: Cluster
  readonly log: Log
  /** Aborted when the worker begins to stop: finish the chunk in hand, take no more. */
  readonly draining: AbortSignal
  /** Aborted when the worker can wait no longer: roll the chunk in hand back. */
  readonly stopped: AbortSignal
}

/** The questions that activities ask Temporal itself. */
export interface Cluster {
  /** Which of these workflows do not run. */
  notRunning(workflowIds: readonly string[]): Promise<readonly string[]>
  /** Whether any worker has asked this queue for activities lately. */
  hasPollers(taskQueue: string): Promise<boolean>
}
