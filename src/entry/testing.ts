/** For tests of what is built on Tidemark. Nothing here outlives its process. */

export { type MemoryStore, memoryStore } from '../memory/store/store.js'
export type { MemoryTransaction } from '../memory/store/transaction.js'
export type { TestClock } from '../testing/clock.js'
export { verifyDatabase } from '../testing/contracts/database.js'
export type { DatabaseHarness } from '../testing/contracts/database-harness.js'
export type { Expect, Expectations, TestFramework } from '../testing/contracts/framework.js'
export { verifySource } from '../testing/contracts/source.js'
export type {
  HarnessContent,
  HarnessDetails,
  HarnessMessage,
  HarnessStream,
  SourceHarness,
  SourceTraits,
} from '../testing/contracts/source-harness.js'
export { verifyStore } from '../testing/contracts/store.js'
export type { StoreHarness } from '../testing/contracts/store-harness.js'
export type { FailOptions, HandlerCall } from '../testing/handling.js'
export type { TestConsumer } from '../testing/kit.js'
export { type MatcherResult, type TidemarkMatchers, tidemarkMatchers } from '../testing/matchers.js'
export type { TestMessage, TestPlace } from '../testing/messages.js'
export type { TestOptions } from '../testing/options.js'
export type { ProducedMessage } from '../testing/output.js'
export { replayHistories } from '../testing/replay.js'
export type { ResetWhich } from '../testing/reset.js'
export type { TestPartition } from '../testing/states.js'
export { testConsumer } from '../testing/test-consumer.js'
