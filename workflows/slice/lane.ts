import { CancellationScope } from '@temporalio/workflow'
import type { BatchTrouble, PartitionOutcome } from '../../src/model/batch.js'
import type { TroubledBatch } from '../../src/model/commands.js'
import { now } from '../clock.js'
import type { Partition } from './partition.js'

/**
 * - `slice` all healthy partitions
 * - `late`  partitions that became ready while a `slice` batch was under way; it ends together with that one
 * - `apart` one partition in trouble, or with a slow handler
 */
export type LaneKind = 'slice' | 'late' | 'apart'

/** A batch under way, with the partitions that it has. A partition is in one lane at most. */
export class Lane {
  /** Cancelling it asks the whole batch to end after the chunks in hand. */
  readonly scope = new CancellationScope()
  /** The partitions that the batch has, with the number of their batch; 0 before it is open. */
  readonly members: Map<Partition, number>
  /** The partitions that it began with. Another try of the batch begins with all of them, whichever have left. */
  readonly begunWith: ReadonlySet<number>
  /** Members that the batch was asked to let go of, while it keeps the others. */
  readonly asked = new Set<Partition>()

  /** The ID of its activity; null before it is under way. */
  activityId: string | null = null
  /** What the group's poll says of its activity, and since when it does. */
  #trouble: (BatchTrouble & { readonly since: string }) | null = null

  /**
   * @param version of the config that the batch is worked with
   * @param closesAt when a shared batch with messages is going to end: ms by the workflow's clock
   */
  constructor(
    readonly kind: LaneKind,
    partitions: readonly Partition[],
    readonly version: string,
    readonly closesAt: number,
  ) {
    this.members = new Map(partitions.map((partition) => [partition, 0]))
    this.begunWith = new Set(partitions.map(({ index }) => index))
  }

  /** Whether the batch was asked to let go of the partition. */
  letsGo(partition: Partition): boolean {
    return this.scope.consideredCancelled || this.asked.has(partition)
  }

  /** The group's poll tells which batches are in trouble now, by the IDs of their activities. */
  told(troubles: Readonly<Record<string, BatchTrouble>>): void {
    const trouble = this.activityId === null ? undefined : troubles[this.activityId]
    const same = this.#trouble !== null && trouble?.state === this.#trouble.state
    if (!trouble) this.#trouble = null
    else if (!same) this.#trouble = { ...trouble, since: now() }
    else if (trouble.partitions) this.#trouble = { ...this.#trouble!, partitions: trouble.partitions }
  }

  /** The trouble of the batch; null where the conditions of its partitions tell it already. */
  get trouble(): TroubledBatch | null {
    const trouble = this.#trouble
    // A partition apart that is retried says so by its condition.
    const partitions = [...this.members.keys()].filter(
      ({ index, condition }) => condition !== trouble?.state && (trouble?.partitions?.includes(index) ?? true),
    )
    if (!trouble || partitions.length === 0) return null
    return { ...trouble, partitions: partitions.map(({ index }) => index).sort((a, b) => a - b) }
  }

  /**
   * Whether the outcome is about the partition's part in this batch. A signal may come twice, be about an earlier batch, or come from a
   * batch of another run: a slice that a person has reset begins to count anew, and its epochs alone are greater.
   */
  has(partition: Partition, { epoch, batch }: PartitionOutcome): boolean {
    return this.members.get(partition) === batch && partition.progress?.epoch === epoch
  }

  /** The partition is out of the batch. */
  remove(partition: Partition): void {
    this.members.delete(partition)
    this.asked.delete(partition)
  }

  /** A batch reports on a partition that has left it. */
  take(partition: Partition, outcome: PartitionOutcome): void {
    if (!this.has(partition, outcome)) return
    const asked = this.letsGo(partition)
    this.remove(partition)
    partition.worked(asked ? withoutTrouble(outcome) : outcome, this.kind === 'apart')
  }
}

/** A batch that fails after it was asked to let go counts as having let go: the next one finds out whether the trouble persists. */
function withoutTrouble(outcome: PartitionOutcome): PartitionOutcome {
  if (outcome.end !== 'failed' && outcome.end !== 'slow' && outcome.end !== 'blocked') return outcome
  const { partition, epoch, batch, to, messages, head, committed } = outcome
  return {
    ...{ partition, epoch, batch, to, messages, head, end: 'released' },
    ...(committed === undefined ? {} : { committed }),
  }
}
