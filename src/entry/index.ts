/*
 * The public face. Sources and stores have subpaths of their own (`tidemark/kafka`, `tidemark/postgres`), so that a driver
 * is loaded only where it is used.
 */

export { type AdoptOptions, planAdoption } from '../client/adopt.js'
export { type AppliedReset, type ApplyOptions, applyReset } from '../client/apply.js'
export { type DeletionOptions, type DeletionPlan, deleteGroup, planDeletion } from '../client/delete-group.js'
export { type FinishedOptions, groupsFinished } from '../client/finished.js'
export { type StartedGroup, startGroups } from '../client/groups.js'
export {
  type DeadLetter,
  type DeadLetterList,
  listDeadLetters,
  readDeadLetter,
  type WholeDeadLetter,
} from '../client/letters/letter.js'
export {
  cancelDeadLetters,
  correctDeadLetter,
  type DiscardOptions,
  discardDeadLetters,
  type LetterRequestOptions,
  type RedriveOptions,
  type RequestedLetters,
  redriveDeadLetters,
  runDeadLettersNow,
} from '../client/letters/requests.js'
export type { LetterSelection } from '../client/letters/selection.js'
export { type GroupMember, type GroupMembers, groupMembers } from '../client/members.js'
export { type Content, type MessageOptions, readMessage, type StoredMessage } from '../client/message.js'
export type { PartitionLine } from '../client/partition-line.js'
export type { Move, PositionPlan } from '../client/plan.js'
export { planReset, type ResetOptions } from '../client/reset.js'
export { planSkip, type SkipOptions } from '../client/skip.js'
export { parseTarget, type ResetTarget } from '../client/target.js'
export { type ConsumerView, viewGroups } from '../client/view.js'
export { consumer, defineConfig, type TidemarkConfig } from '../config/define.js'
export {
  type AfterLastTryOption,
  type DeadLetterOptions,
  type DeadLetterTopicOptions,
  deadLetter,
  deadLetterTopic,
  type ErrorClass,
  type FailurePolicy,
  retryLater,
} from '../config/failures.js'
export type { Consumer, ConsumerOptions, DedupeOption, StartOption, TidemarkOptions } from '../config/options.js'
export { type CommitOption, everyN, manual, periodic } from '../config/strategy.js'
export {
  type CallableHandler,
  type HandlerContext,
  type OutputMessage,
  type PlainHandler,
  type TransactionalFunction,
  type TransactionalHandler,
  type TransactionalOptions,
  type TransactionContext,
  transactional,
} from '../handlers/handler.js'
export type { GroupStatus, PartitionStatus } from '../model/commands.js'
export { type ErrorCode, isTidemarkError, TidemarkError } from '../model/errors.js'
export { DownstreamUnavailable, PartialFailure, Poison } from '../model/handler-errors.js'
export type { PartitionBlocked, PartitionCaughtUp, PartitionFenced } from '../model/partition-events.js'
export type { FencingToken } from '../model/token.js'
export { Undecodable } from '../model/undecodable.js'
export type { Duration, Size } from '../model/units.js'
export type { WorkerMetrics } from '../monitoring/metrics.js'
export type { Log, Message, MessageHeaders, Output, Source, Transaction } from '../ports/index.js'
export { createWorker, type WorkerContext } from '../worker/create.js'
export type { WorkerEvents } from '../worker/listeners.js'
export { TidemarkWorker, type WorkerState } from '../worker/worker.js'
