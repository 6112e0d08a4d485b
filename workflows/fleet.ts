import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import { getExternalWorkflowHandle, ParentClosePolicy, type SignalDefinition, startChild } from '@temporalio/workflow'
import { type ModeState, type PartitionInput, type ShardOrder, workflowTypes } from '../src/model/commands.js'
import { describePartition, groupWorkflowId, partitionWorkflowId } from '../src/model/partition.js'
import type { Revision } from '../src/model/revision.js'
import { configureSignal } from './state.js'
import { partitionAttributes } from './visibility.js'

/**
 * Partitions that one workflow starts and signals itself. Beyond that, shards do it: fanning a command out costs events,
 * and a workflow's history is bounded.
 */
const perShard = 500

/** A group's partition workflows: starts them and hands signals to them. They outlive the runs of the one that started them. */
export class Fleet {
  constructor(
    private readonly group: string,
    private readonly stream: string,
    private readonly searchAttributes: boolean,
    /** The shard this fleet belongs to; 0 is the group itself. */
    private readonly shard = 0,
  ) {}

  /** Starts what does not run yet; what does run is told the revision and left alone otherwise. */
  async start(
    partitions: readonly number[],
    revision: Revision,
    stateOf: (partition: number) => ModeState,
    added: readonly number[] = [],
  ): Promise<void> {
    const given = (partition: number) => (added.includes(partition) ? { added: true } : {})
    await this.#split(
      partitions,
      (partition) => this.#startOne(partition, revision, stateOf(partition), given(partition)),
      (theirs) => ({
        start: theirs.map((partition) => ({ partition, state: stateOf(partition), ...given(partition) })),
        revision,
      }),
    )
  }

  /** Signals partitions. One that does not run is skipped: it gets its state when it is started again. */
  async tell<Args extends unknown[]>(
    partitions: readonly number[],
    signal: SignalDefinition<Args>,
    args: Args,
  ): Promise<void> {
    await this.#split(
      partitions,
      (partition) => this.#tellOne(partition, signal, args),
      (theirs) => ({ tell: theirs, signal: signal.name, args }),
    )
  }

  async #startOne(
    partition: number,
    revision: Revision,
    state: ModeState,
    given: { readonly added?: boolean },
  ): Promise<void> {
    const { group, stream, searchAttributes } = this
    const key = { group, stream, partition }
    const input: PartitionInput = { key, revision, state, searchAttributes, ...given }
    try {
      await startChild(workflowTypes.partition, {
        workflowId: partitionWorkflowId(key),
        args: [input],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        // A worker that dies while it decides what comes next is missed as soon as one that dies while it works.
        workflowTaskTimeout: Math.min(revision.timing.heartbeatTimeoutMs, 10_000),
        staticSummary: `${describePartition(key)} for ${group}`,
        staticDetails: `Owns partition ${partition} of ${stream} for the group ${group}: waits for messages, has them handled batch by batch, and commits the offset after each batch.`,
        ...(searchAttributes
          ? { typedSearchAttributes: partitionAttributes(group, stream, partition, state.mode) }
          : {}),
      })
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
      await this.#tellOne(partition, configureSignal, [revision])
    }
  }

  async #tellOne<Args extends unknown[]>(partition: number, signal: SignalDefinition<Args>, args: Args): Promise<void> {
    const { group, stream } = this
    const handle = getExternalWorkflowHandle(partitionWorkflowId({ group, stream, partition }))
    await handle.signal(signal, ...args).catch(() => {})
  }

  async #split(
    partitions: readonly number[],
    mine: (partition: number) => Promise<void>,
    order: (theirs: number[]) => Omit<ShardOrder, 'group' | 'stream' | 'searchAttributes' | 'shard'>,
  ): Promise<void> {
    const shards = new Map<number, number[]>()
    for (const partition of partitions) {
      const shard = Math.floor(partition / perShard)
      shards.set(shard, [...(shards.get(shard) ?? []), partition])
    }
    await Promise.all(
      [...shards].map(async ([shard, theirs]) => {
        if (shard === this.shard) await Promise.all(theirs.map(mine))
        else await this.#command(shard, order(theirs))
      }),
    )
  }

  /** Starts the shard with the order, or hands it to the one that runs. */
  async #command(
    shard: number,
    order: Omit<ShardOrder, 'group' | 'stream' | 'searchAttributes' | 'shard'>,
  ): Promise<void> {
    const { group, stream, searchAttributes } = this
    const workflowId = `${groupWorkflowId(group, stream)}/shard-${shard}`
    const whole: ShardOrder = { group, stream, searchAttributes, shard, ...order }
    try {
      await startChild(workflowTypes.shard, {
        workflowId,
        args: [{ orders: [whole] }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `partitions ${shard * perShard} to ${(shard + 1) * perShard - 1} of ${stream} for ${group}`,
      })
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
      await getExternalWorkflowHandle(workflowId).signal('order', whole)
    }
  }
}
