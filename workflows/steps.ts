import { ActivityCancellationType, CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow'
import type { BatchActivities, BatchResult, ControlActivities, Ownership, Plan } from '../src/model/batch.js'
import { describePartition } from '../src/model/partition.js'
import { batchQueue } from '../src/model/revision.js'
import { failureOf } from './failures.js'
import type { PartitionState } from './state.js'

/** Temporal takes the batch from a worker that is gone after the heartbeat timeout; nothing else limits a slow handler. */
const longest = '24 hours'
/** A batch that no worker took for so long asks whether anybody with its config version is left. */
const untaken = '30 seconds'

/** The activities of one partition, as the loop in partition.ts calls them. */
export class PartitionSteps {
  readonly #state: PartitionState
  #commit: Promise<void> = Promise.resolve()

  constructor(state: PartitionState) {
    this.#state = state
  }

  /**
   * Runs one turn of the loop. A command may end it (`interrupt`); an error that retrying can't mend stops the partition
   * with its reason. The position is untouched either way: what was handled is in the progress row, and the next batch
   * begins there.
   */
  async attempt(turn: () => Promise<void>): Promise<void> {
    const scope = new CancellationScope()
    const { reopened } = this.#state
    this.#state.interrupt = () => scope.cancel()
    try {
      await scope.run(turn)
    } catch (error) {
      if (isCancellation(error) || this.#state.reopened !== reopened) return
      const failure = failureOf(error)
      if (failure.kind === 'untaken') await this.#changeVersion()
      else if (failure.kind === 'fenced') this.#state.fence(failure.reason)
      else this.#state.block(failure.reason)
    } finally {
      this.#state.interrupt = () => {}
    }
  }

  open(): Promise<Ownership> {
    return this.#control('take ownership').open(this.#state.opening)
  }

  poll(): Promise<Plan> {
    const { key, progress } = this.#state
    return this.#control(`wait at ${progress.position}`).poll({
      key,
      position: progress.position,
      identity: progress.identity ?? null,
    })
  }

  process(): Promise<BatchResult> {
    const state = this.#state
    const batch = state.nextBatch()
    const { timing, queues, version } = state.revision
    const { process } = proxyActivities<BatchActivities>({
      taskQueue: batchQueue(queues, version),
      summary: `${describePartition(state.key)} batch ${batch.batch} from ${batch.from}`,
      startToCloseTimeout: longest,
      scheduleToStartTimeout: untaken,
      heartbeatTimeout: timing.heartbeatTimeoutMs,
      // The worker finishes the chunk in hand and returns how far it came, so nothing of a plain handler is repeated.
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      // For a batch whose worker is gone: somebody else tries at once, however often that has happened. A batch that fails
      // names its own pause, as the consumer's retry option says.
      retry: { initialInterval: '100 ms', maximumInterval: '1 second' },
    })
    return process(batch)
  }

  /**
   * Starts the commit of what is worked and goes on: the next batch runs beside it. At most one commit is under way. Nothing is
   * left to do where the batch has committed by itself, as the consumer's strategy says.
   */
  async commitBehind({ committed: committedBy }: BatchResult): Promise<void> {
    await this.settle()
    const { key, progress, owned } = this.#state
    if (!owned || committedBy !== undefined || progress.position === progress.committed) return
    const { epoch, position, replay } = progress
    // A command that ends the turn must not end the commit: it belongs to work that is done.
    this.#commit = CancellationScope.nonCancellable(async () => {
      const result = await this.#control(`offset ${position}`).commit({ key, epoch, replay, position })
      // Meanwhile the partition may have been opened again.
      if (!this.#state.owned || this.#state.epoch !== epoch) return
      if (result.committed) this.#state.committed(position)
      else if (result.reopen) this.#state.reopen()
      else this.#state.fence(result.why)
    })
    this.#commit.catch(() => {})
  }

  /** The end of a bounded run: what was handled is committed before anybody says so. */
  async finish(): Promise<void> {
    await this.settle()
    this.#state.finish()
  }

  /** Waits for the commit under way, and throws what it threw. */
  async settle(): Promise<void> {
    const commit = this.#commit
    this.#commit = Promise.resolve()
    await commit
  }

  /** Nobody took the batch: goes on with the version that the workers which are there hold. */
  async #changeVersion(): Promise<void> {
    const { revision } = this.#state
    const { version } = await this.#control('find a worker').fallback({ wanted: revision.version })
    this.#state.revision = { ...this.#state.revision, version }
  }

  /** Control activities are short, or wait on purpose; they retry for ever, since giving up would help nobody. */
  #control(summary: string): ControlActivities {
    const { revision, key } = this.#state
    return proxyActivities<ControlActivities>({
      taskQueue: revision.queues.control,
      summary: `${describePartition(key)} ${summary}`,
      startToCloseTimeout: '5 minutes',
      heartbeatTimeout: revision.timing.heartbeatTimeoutMs,
      retry: { initialInterval: '200 ms', maximumInterval: '10 seconds' },
    })
  }
}
