import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  type SignalDefinition,
  startChild,
} from '@temporalio/workflow'
import { type PartitionStart, type SliceInput, workflowTypes } from '../../src/model/commands.js'
import { bySlice, type GroupName, partitionsNamed, sliceWorkflowId } from '../../src/model/partition.js'
import type { Revision } from '../../src/model/revision.js'
import { shortSummary } from '../../src/model/summary.js'
import { control } from '../activities.js'
import { statesOf } from '../details.js'
import { sliceAttributes } from '../search-attributes.js'
import { Partition } from '../slice/partition.js'
import { configureSignal, fallbackSignal, finishSignal, ownSignal } from '../slice/slice-state.js'

/** What a fleet's slices have in common. */
export interface FleetOf {
  readonly name: GroupName
  readonly slices: number
  readonly generation: number
  readonly searchAttributes: boolean
  readonly revision: Revision
  /** The version that batches are worked with. */
  readonly version: string
}

/** A group's slice workflows: starts and signals them. They outlive the run of the group's workflow that started them. */
export class Fleet {
  constructor(private readonly of: FleetOf) {}

  /** Gives partitions to their slices. A slice that does not run yet is started with them. */
  async own(starts: readonly PartitionStart[]): Promise<void> {
    const indexes = starts.map(({ partition }) => partition)
    await Promise.all(
      [...bySlice(indexes, this.of.slices)].map(([slice, theirs]) =>
        this.#own(
          slice,
          starts.filter(({ partition }) => theirs.includes(partition)),
        ),
      ),
    )
  }

  /**
   * Signals the slices of these partitions, each with its own share. A slice that does not run is skipped: it gets its state when it
   * starts.
   */
  async tell<Args extends [] | [unknown]>(
    partitions: readonly number[],
    signal: SignalDefinition<Args>,
    argsFor: (partitions: readonly number[]) => NoInfer<Args>,
  ): Promise<void> {
    await Promise.all(
      [...bySlice(partitions, this.of.slices)].map(([slice, theirs]) => this.#tell(slice, signal, argsFor(theirs))),
    )
  }

  /** Ends slices after the chunks in hand, with their offsets committed. Resolves when none of them runs. */
  async end(partitions: readonly number[]): Promise<void> {
    await this.tell(partitions, finishSignal, () => [])
    const { name, slices: count, revision } = this.of
    const { ended } = control(revision, 'wait for the slices to end')
    let slices = [...bySlice(partitions, count).keys()]
    while (slices.length > 0) slices = [...(await ended({ name, slices }))]
  }

  async #own(slice: number, starts: readonly PartitionStart[]): Promise<void> {
    const { name, generation, searchAttributes, revision, version } = this.of
    const partitions = starts.map((start) => Partition.begin(start))
    const input: SliceInput = {
      name,
      slice,
      generation,
      revision,
      version,
      searchAttributes,
      partitions: partitions.map((partition) => partition.record()),
    }
    const which = partitionsNamed(starts.map(({ partition }) => partition))
    try {
      await startChild(workflowTypes.slice, {
        workflowId: sliceWorkflowId(name, slice),
        taskQueue: revision.queues.workflows,
        args: [input],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        // A worker that dies during a workflow task is noticed as soon as one that dies during a batch.
        workflowTaskTimeout: Math.min(revision.timing.heartbeatTimeoutMs, 10_000),
        staticSummary: shortSummary(`slice ${slice} of ${name.stream} for ${name.group}`),
        staticDetails: `Owns ${which} of ${name.stream} for the group ${name.group}, and some of those that are added later: has their messages handled batch by batch, and commits the offsets after each batch.`,
        ...(searchAttributes ? { typedSearchAttributes: sliceAttributes(name, slice, statesOf(partitions)) } : {}),
      })
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
      await this.#tell(slice, configureSignal, [revision])
      if (version !== revision.version) await this.#tell(slice, fallbackSignal, [{ wanted: revision.version, version }])
      await this.#tell(slice, ownSignal, [{ generation, partitions: starts }])
    }
  }

  async #tell<Args extends unknown[]>(slice: number, signal: SignalDefinition<Args>, args: Args): Promise<void> {
    const handle = getExternalWorkflowHandle(sliceWorkflowId(this.of.name, slice))
    await CancellationScope.nonCancellable(() => handle.signal(signal, ...args)).catch(() => {})
  }
}
