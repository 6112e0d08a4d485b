import { condition } from '@temporalio/workflow'
import type { BatchTrouble, PartitionOutcome } from '../../src/model/batch.js'
import type { PartitionStatus, TroubledBatch } from '../../src/model/commands.js'
import { runBatch } from './batch.js'
import type { Commits } from './commits.js'
import { Lane } from './lane.js'
import { LetGoMemo } from './let-go-memo.js'
import { laneOf, type NextLane, nextLane, sharedOf } from './next-lane.js'
import type { Partition } from './partition.js'
import type { SliceState, UnderWay } from './slice-state.js'

/** A batch that ends within this time, ms, is waited for, so that its partitions join the next one. */
const joinWithinMs = 250
/** How long a batch may take to let go of single partitions before all of it is ended, ms. */
const letGoWithinMs = 5_000
/** The shortest batch of partitions that came late, ms. */
const shortestMs = 1_000

/** The batches of a slice that are under way, and how commands reach them. */
export class Lanes implements UnderWay {
  readonly #lanes = new Set<Lane>()
  readonly #letGo = new LetGoMemo()

  constructor(
    private readonly state: SliceState,
    private readonly commits: Commits,
  ) {}

  get none(): boolean {
    return this.#lanes.size === 0
  }

  /** Whether `start` would start something. */
  get startable(): boolean {
    return this.#next() !== null
  }

  /** Starts batches for all partitions that are ready. */
  async start(): Promise<void> {
    const closing = sharedOf(this.#lanes).filter(({ closesAt }) => Math.abs(closesAt - Date.now()) < joinWithinMs)
    if (closing.length > 0) await condition(() => closing.every((lane) => !this.#lanes.has(lane)), joinWithinMs)
    for (let next = this.#next(); next !== null; next = this.#next()) this.#begin(next)
  }

  release(partitions: readonly Partition[]): void {
    const asked: Record<string, readonly [number, number]> = {}
    for (const lane of this.#lanes) {
      const theirs = partitions.filter((partition) => lane.members.has(partition))
      if (theirs.length === 0) continue
      for (const partition of theirs) lane.asked.add(partition)
      if (lane.asked.size === lane.members.size) {
        lane.scope.cancel()
        continue
      }
      for (const partition of theirs)
        asked[partition.index] = [partition.progress?.epoch ?? 0, lane.members.get(partition)!]
      this.#endUnlessLeft(lane)
    }
    this.#tell(asked)
  }

  releaseAll(isMeant: (version: string) => boolean = () => true): void {
    for (const lane of this.#lanes) if (isMeant(lane.version)) lane.scope.cancel()
  }

  left(outcomes: readonly PartitionOutcome[]): void {
    const gone: Record<string, readonly [number, number]> = {}
    for (const outcome of outcomes) {
      const partition = this.state.partitions.get(outcome.partition)
      const lane = laneOf(partition, this.#lanes)
      if (!partition || !lane) continue
      lane.take(partition, outcome)
      if (lane.members.size > 0 && !lane.members.has(partition)) gone[partition.index] = [outcome.epoch, outcome.batch]
    }
    // A retry of the batch must not take them back.
    this.#tell(gone)
    this.commits.begin()
  }

  told(troubles: Readonly<Record<string, BatchTrouble>>): void {
    for (const lane of this.#lanes) lane.told(troubles)
  }

  get troubled(): readonly TroubledBatch[] {
    return [...this.#lanes].flatMap(({ trouble }) => trouble ?? [])
  }

  placeOf(partition: Partition): Pick<PartitionStatus, 'place' | 'version'> {
    const lane = laneOf(partition, this.#lanes)
    if (!lane) return { place: 'none', version: this.state.version }
    return { place: lane.kind === 'apart' ? 'apart' : 'slice', version: lane.version }
  }

  /**
   * A batch may be between two tries, or still be taking ownership: nobody reads memos there. Its other partitions join the next
   * batch as soon as they are out of it, so they do not wait for a slow call of a handler.
   */
  #endUnlessLeft(lane: Lane): void {
    condition(() => !this.#lanes.has(lane) || lane.asked.size === 0, letGoWithinMs)
      .then((left) => {
        if (!left) lane.scope.cancel()
      })
      // The workflow was cancelled, and ends all batches itself.
      .catch(() => {})
  }

  #tell(partitions: Record<string, readonly [epoch: number, batch: number]>): void {
    this.#letGo.add(partitions, (index) => [...this.#lanes].some(({ begunWith }) => begunWith.has(index)))
  }

  #next(): NextLane | null {
    return nextLane(this.state.partitions.values(), this.#lanes)
  }

  #begin({ kind, partitions }: NextLane): void {
    const { batchMs } = this.state.revision.timing
    // Late partitions join when the batches that are under way end.
    const others = sharedOf(this.#lanes).map(({ closesAt }) => closesAt)
    const left = Math.max(...others, 0) - Date.now()
    const closesInMs = kind !== 'apart' && left > 0 ? Math.min(batchMs, Math.max(shortestMs, left)) : undefined
    const lane = new Lane(kind, partitions, this.state.version, Date.now() + (closesInMs ?? batchMs))
    this.#lanes.add(lane)
    const work = lane.scope.run(() => runBatch(lane, closesInMs, this.state, this.commits))
    work.finally(() => this.#lanes.delete(lane)).catch(() => {})
  }
}
