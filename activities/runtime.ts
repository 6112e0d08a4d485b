import type { ParsedFailing } from '../src/config/parse.js'
import type { HandlerKind } from '../src/handlers/handler.js'
import type { Until } from '../src/handlers/until.js'
import type { BatchTrouble } from '../src/model/batch.js'
import type { SliceMemo } from '../src/model/commands.js'
import type { PartitionKey } from '../src/model/partition.js'
import type { Queues } from '../src/model/revision.js'
import type { ConsumerSettings } from '../src/model/settings.js'
import type {
  ByteBudget,
  DeadLetters,
  GroupRecords,
  Log,
  OffsetStoreClient,
  OutputClient,
  ProgressLog,
  SourceClient,
  SqlProgressLog,
  TroubleLog,
} from '../src/ports/index.js'
import type { LoopMonitor } from './batch/loop-monitor.js'
import type { Slots } from './batch/slots.js'
import type { ErrorReports } from './errors/reports.js'
import type { Circuits } from './failing/circuits.js'
import type { Deduplicator } from './handling/dedupe.js'
import type { RuntimeOutput } from './handling/outputs.js'
import type { WorkObserver } from './story/observer.js'

export type { WorkObserver } from './story/observer.js'

/** What a worker gives to the activities of one consumer. */
export interface ConsumerRuntime {
  readonly settings: ConsumerSettings
  readonly version: string
  readonly queues: Queues
  readonly handler: HandlerKind
  readonly source: SourceClient
  readonly store: OffsetStoreClient
  /** What groups must remember whatever happens to Temporal, in the store's database. */
  readonly records: GroupRecords
  /** Keeps brokers from forgetting the offset of a partition that waits. Fails nobody. */
  readonly keepOffset: (key: PartitionKey) => Promise<void>
  /** Where the consumer's progress lives: in the database that the handler writes to, or in the log of its output. */
  readonly progress: ProgressLog
  /** In the database that transactional handlers write to. */
  readonly sql: SqlProgressLog
  /** What partitions can't get past, and messages that were set aside: in the same database. */
  readonly troubles: TroubleLog
  readonly letters: DeadLetters
  /** What the user's code decides of failures. */
  readonly failing: Pick<ParsedFailing, 'classify' | 'redact'>
  /** Where dead letters are written to, where that is a topic and no part of a transaction. */
  readonly letterTopic?: Pick<OutputClient, 'send'>
  readonly dedupe?: Deduplicator
  readonly output?: RuntimeOutput
  readonly until?: Until
  readonly budget: ByteBudget
  /** Bounds how many handlers of this consumer the worker runs at the same time. */
  readonly slots: Slots
  /** Of the worker, for all its consumers. */
  readonly loop: LoopMonitor
  /** What handlers need and is away, for all consumers of the worker. */
  readonly circuits: Circuits
  /** Chunks that workers may have been lost at, one at a time, for all consumers of the worker. */
  readonly quarantine: Slots
  readonly cluster: Cluster
  /** What the log, the metrics and the program around the worker hear of partitions. */
  readonly story: WorkObserver
  readonly log: Log
  /** What Temporal and the log are told of errors. */
  readonly errors: ErrorReports
  /** Aborted when the worker begins to stop: finish the chunk in hand, take no more. */
  readonly draining: AbortSignal
  /** Aborted when the worker can wait no longer: roll the chunk in hand back. */
  readonly stopped: AbortSignal
}

/** What activities ask Temporal itself. None of it is billed but signals. */
export interface Cluster {
  /** Null where there is no such workflow. Throws where Temporal can't be reached within a few seconds. */
  look(workflowId: string): Promise<WorkflowLook | null>
  /** A workflow that does not run is told nothing. Throws where Temporal can't be reached within a few seconds. */
  signal(workflowId: string, signal: string, ...args: unknown[]): Promise<void>
  /**
   * Ends a workflow that no worker can go on with: it runs for another build of Tidemark whose workers are gone, or Temporal was restored to
   * an older state of it. Returns whether it did. `queue` is the own build's.
   */
  endStranded(workflowId: string, queue: string): Promise<boolean>
}

/** What can be seen of a workflow from outside. */
export interface WorkflowLook {
  /** `cancelled`, `terminated`: by a person. */
  readonly status: 'running' | 'cancelled' | 'terminated' | 'ended'
  readonly taskQueue: string
  readonly memo: SliceMemo
  /** Temporal was restored to an older state of it, or its workers have failed to go on with it several times in a row. */
  readonly failing: boolean
  /** IDs of activities that the workflow has asked to end. */
  readonly cancelled: ReadonlySet<string>
  /** IDs of batches whose last try ended because Temporal missed its worker. */
  readonly lost: ReadonlySet<string>
  /** A slice's batches that are under way, between two tries, or held, by the IDs of their activities; null where nothing is wrong. */
  readonly batches: ReadonlyMap<string, BatchTrouble | null>
}
