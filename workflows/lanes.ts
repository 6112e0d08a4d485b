import { CancellationScope, condition, upsertMemo } from '@temporalio/workflow'
import type { BatchInput, BatchResult, BatchTrouble, PartitionOutcome } from '../src/model/batch.js'
import type { PartitionStatus, SliceMemo, TroubledBatch } from '../src/model/commands.js'
import { describePartition } from '../src/model/partition.js'
import { control, process } from './activities.js'
import { now } from './clock.js'
import type { Commits } from './commits.js'
import { failureOf } from './failures.js'
import type { Partition } from './partition.js'
import type { SliceState, UnderWay } from './slice-state.js'

/** Partitions in trouble that are worked apart at the same time. When more are in trouble, the slice backs off as one. */
const mostApart = 4
/** Batches of healthy partitions at the same time: one as a rule, and some for partitions that became ready while it was under way. */
const mostShared = 4
/** A batch that is about to end is waited for, ms, so that its partitions join the next one. */
const joinWithinMs = 250
/** A batch that was asked for single partitions, and has not let go of them after so long, is ended as a whole, ms. */
const letGoWithinMs = 5_000
/** The shortest batch of partitions that came late, ms. */
const shortestMs = 1_000

/**
 * A batch under way. A partition is in one lane at most.
 *
 * - `slice` all healthy partitions
 * - `late`  partitions that became ready while a `slice` batch was under way; it ends together with that one
 * - `apart` one partition in trouble, or with a slow handler
 */
interface Lane {
  readonly kind: 'slice' | 'late' | 'apart'
  readonly scope: CancellationScope
  /** The partitions that the batch has, with the number of their batch; 0 before it is open. */
  readonly members: Map<Partition, number>
  /** Members that the batch was asked to let go of, while it has others to go on with. */
  readonly asked: Set<Partition>
  readonly version: string
  /** When a shared batch with messages is going to end: ms by the workflow's clock. */
  readonly closesAt: number
  /** The ID of its activity; null before it is under way. */
  activityId: string | null
  /** What the group's poll says of its activity, and since when it does. */
  trouble: (BatchTrouble & { readonly since: string }) | null
}

/** The batches of a slice: which partitions are worked together, and what becomes of them. */
export class Lanes implements UnderWay {
  readonly #lanes = new Set<Lane>()
  readonly #state: SliceState
  readonly #commits: Commits
  /** Partitions that batches were asked to let go of, by the last memo. */
  #letGo: Record<string, readonly [number, number]> = {}

  constructor(state: SliceState, commits: Commits) {
    this.#state = state
    this.#commits = commits
  }

  get none(): boolean {
    return this.#lanes.size === 0
  }

  /** Whether `start` would start something. */
  get startable(): boolean {
    return this.#next() !== null
  }

  /** Starts batches for all partitions that are ready. */
  async start(): Promise<void> {
    const closing = this.#shared().filter(({ closesAt }) => Math.abs(closesAt - Date.now()) < joinWithinMs)
    if (closing.length > 0) await condition(() => closing.every((lane) => !this.#lanes.has(lane)), joinWithinMs)
    for (let next = this.#next(); next !== null; next = this.#next()) this.#begin(next.kind, next.partitions)
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
      const partition = this.#state.partitions.get(outcome.partition)
      const lane = this.#laneOf(partition)
      if (!partition || !lane) continue
      const { epoch } = partition.progress!
      this.#take(lane, partition, outcome)
      if (lane.members.size > 0 && !lane.members.has(partition)) gone[partition.index] = [epoch, outcome.batch]
    }
    // Another try of the batch must not take them back.
    this.#tell(gone)
    this.#commits.begin()
  }

  told(troubles: Readonly<Record<string, BatchTrouble>>): void {
    for (const lane of this.#lanes) {
      const trouble = lane.activityId === null ? undefined : troubles[lane.activityId]
      if (trouble?.state !== lane.trouble?.state) lane.trouble = trouble ? { ...trouble, since: now() } : null
    }
  }

  get troubled(): readonly TroubledBatch[] {
    return [...this.#lanes].flatMap(({ members, trouble }) => {
      // A partition apart that is retried says so by its condition.
      const partitions = [...members.keys()].filter(({ condition }) => condition !== trouble?.state)
      if (!trouble || partitions.length === 0) return []
      return [{ ...trouble, partitions: partitions.map(({ index }) => index).sort((a, b) => a - b) }]
    })
  }

  placeOf(partition: Partition): Pick<PartitionStatus, 'place' | 'version'> {
    const lane = this.#laneOf(partition)
    if (!lane) return { place: 'none', version: this.#state.version }
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

  /** Tells batches which partitions are not theirs any more, up to which epoch and batch. */
  #tell(partitions: Record<string, readonly [epoch: number, batch: number]>): void {
    const told = { ...this.#letGo, ...partitions }
    const current = Object.entries(told).filter(
      ([index]) => index in partitions || this.#laneOf(this.#state.partitions.get(Number(index))),
    )
    if (Object.keys(partitions).every((index) => String(this.#letGo[index]) === String(partitions[index]))) return
    this.#letGo = Object.fromEntries(current)
    const memo: SliceMemo = { letGo: this.#letGo }
    upsertMemo({ ...memo })
  }

  /** Whether the batch was asked to let go of the partition. */
  #letsGo({ scope, asked }: Lane, partition: Partition): boolean {
    return scope.consideredCancelled || asked.has(partition)
  }

  #laneOf(partition: Partition | undefined): Lane | undefined {
    return partition && [...this.#lanes].find(({ members }) => members.has(partition))
  }

  #shared(): Lane[] {
    return [...this.#lanes].filter(({ kind }) => kind !== 'apart')
  }

  #apart(): number {
    return this.#lanes.size - this.#shared().length
  }

  /** The batch to start next. */
  #next(): { readonly kind: Lane['kind']; readonly partitions: Partition[] } | null {
    const ready = [...this.#state.partitions.values()].filter((one) => one.ready && !this.#laneOf(one))
    const troubled = ready.find(({ apart }) => apart)
    if (troubled && this.#apart() < mostApart) return { kind: 'apart', partitions: [troubled] }
    const shared = this.#shared().length
    if (shared === 0) return ready.length > 0 ? { kind: 'slice', partitions: ready } : null
    // More are in trouble than can be worked apart: they wait for the next batch of all.
    const healthy = ready.filter(({ apart }) => !apart)
    return healthy.length > 0 && shared < mostShared ? { kind: 'late', partitions: healthy } : null
  }

  #begin(kind: Lane['kind'], partitions: readonly Partition[]): void {
    const { batchMs } = this.#state.revision.timing
    // Late partitions join when the batches that are under way end.
    const others = this.#shared().map(({ closesAt }) => closesAt)
    const left = Math.max(...others, 0) - Date.now()
    const closesInMs = kind !== 'apart' && left > 0 ? Math.min(batchMs, Math.max(shortestMs, left)) : undefined
    const lane: Lane = {
      kind,
      scope: new CancellationScope(),
      members: new Map(partitions.map((partition) => [partition, 0])),
      asked: new Set(),
      version: this.#state.version,
      closesAt: Date.now() + (closesInMs ?? batchMs),
      activityId: null,
      trouble: null,
    }
    this.#lanes.add(lane)
    const work = lane.scope.run(() => this.#work(lane, closesInMs))
    work.finally(() => this.#lanes.delete(lane)).catch(() => {})
  }

  async #work(lane: Lane, closesInMs: number | undefined): Promise<void> {
    try {
      await this.#open(lane)
      const result = await this.#process(lane, closesInMs)
      const finished: Partition[] = []
      for (const outcome of result.partitions) {
        const partition = this.#state.partitions.get(outcome.partition)
        if (!partition || lane.members.get(partition) !== outcome.batch) continue
        if (outcome.end === 'finished') {
          partition.worked(outcome, lane.kind === 'apart')
          finished.push(partition)
        } else this.#take(lane, partition, outcome)
      }
      this.#commits.begin()
      if (finished.length > 0) await this.#finish(finished)
    } catch (error) {
      await CancellationScope.nonCancellable(() => this.#fail(lane, error))
    }
  }

  /** What a batch says of a partition that it has no more. */
  #take(lane: Lane, partition: Partition, outcome: PartitionOutcome): void {
    // An answer that came twice, or is about an earlier batch of the partition.
    if (lane.members.get(partition) !== outcome.batch) return
    const asked = this.#letsGo(lane, partition)
    this.#without(lane, partition)
    partition.worked(asked ? withoutTrouble(outcome) : outcome, lane.kind === 'apart')
  }

  #without(lane: Lane, partition: Partition): void {
    lane.members.delete(partition)
    lane.asked.delete(partition)
  }

  /** The end of a bounded run: what was handled is committed before anybody says so. */
  async #finish(partitions: readonly Partition[]): Promise<void> {
    await this.#commits.settle()
    // Unless a person has put the position elsewhere meanwhile.
    for (const partition of partitions)
      if (partition.owned && !partition.uncommitted) {
        const { position } = partition.progress!
        partition.change('finished', `read to ${position}, where the run ends`)
      }
  }

  /** Takes ownership of those that are not owned. What can't be had leaves the lane. */
  async #open(lane: Lane): Promise<void> {
    const foreign = [...lane.members.keys()].filter(({ owned }) => !owned)
    if (foreign.length === 0) return
    const { input, revision } = this.#state
    const summary = `take ownership of ${namesOf(input.name.stream, foreign)}`
    const requests = foreign.map((partition) => partition.opening(revision))
    const reopened = new Map(foreign.map((partition) => [partition.index, partition.reopened]))
    const outcomes = await control(revision, summary).open({ name: input.name, partitions: requests })
    for (const outcome of outcomes) {
      const partition = this.#state.partitions.get(outcome.partition)!
      if (outcome.outcome === 'owned') {
        // Where the stored position was changed meanwhile, it is taken from there: the partition is opened again.
        if (reopened.get(outcome.partition) === partition.reopened) partition.own(this.#state.revision, outcome)
        else partition.taken(outcome.epoch)
        continue
      }
      const asked = this.#letsGo(lane, partition)
      this.#without(lane, partition)
      if (!asked) partition.change(outcome.outcome === 'blocked' ? 'blocked' : 'troubled', outcome.reason)
    }
  }

  #process(lane: Lane, closesInMs: number | undefined): Promise<BatchResult> {
    // Commands that came while the partitions were opened.
    for (const partition of [...lane.members.keys()])
      if (!partition.ready || !partition.owned) this.#without(lane, partition)
    const members = [...lane.members.keys()]
    if (members.length === 0) return Promise.resolve({ partitions: [] })
    const { input, revision } = this.#state
    const { name, slice } = input
    const partitions = members.map((partition) => {
      const batch = partition.nextBatch()
      lane.members.set(partition, batch.batch)
      return batch
    })
    const troubled = [...this.#state.partitions.values()].filter(({ apart }) => apart).length
    const batch: BatchInput = {
      name,
      slice,
      partitions,
      mayLeave: Math.max(0, mostApart - troubled),
      ...(lane.kind === 'apart' ? { apart: members[0]!.apart ?? 'failed' } : {}),
      ...(closesInMs === undefined ? {} : { closesInMs }),
    }
    const [first] = partitions
    const place = describePartition({ stream: name.stream, partition: first!.partition })
    const { epoch, batch: number } = first!
    // Those who look at pending activities tell batches by it: one of a partition apart begins with its name and a blank.
    lane.activityId =
      lane.kind === 'apart'
        ? `${place} epoch ${epoch} batch ${number}`
        : `shared/${first!.partition}/${epoch}/${number}`
    const apart = `${place} apart: ${members[0]!.reason || 'its handler is slow'}`
    return process(
      revision,
      {
        version: lane.version,
        summary: lane.kind === 'apart' ? apart : namesOf(name.stream, members),
        id: lane.activityId,
      },
      batch,
    )
  }

  /**
   * A batch that has not said how far it came: what was handled is in the progress rows, and the next batches begin there. A worker
   * behind a cut wire may still be working it, so its tokens are made worthless before the partitions are let go.
   */
  async #fail(lane: Lane, error: unknown): Promise<void> {
    const failure = failureOf(error)
    const { name } = this.#state.input
    const begun = [...lane.members].filter(([, batch]) => batch > 0)
    if (begun.length > 0 && failure.kind !== 'untaken') {
      const partitions = begun.map(([{ index, progress }, batch]) => ({
        partition: index,
        epoch: progress!.epoch,
        batch,
      }))
      await control(
        this.#state.revision,
        `let go of ${namesOf(
          name.stream,
          begun.map(([one]) => one),
        )}`,
      ).raise({
        name,
        partitions,
      })
    }
    // Letting go is not failing: with a new config, or after a pause, the error may be gone.
    if (failure.kind === 'stop')
      for (const partition of lane.members.keys())
        if (!this.#letsGo(lane, partition)) partition.change('blocked', failure.reason)
    if (failure.kind === 'untaken' && lane.version === this.#state.version) await this.#changeVersion(lane.version)
  }

  /** Nobody took the batch: continues with the version that the workers which are there hold. */
  async #changeVersion(wanted: string): Promise<void> {
    const { version } = await control(this.#state.revision, 'find a worker').fallback({ wanted })
    // Unless another config was put in force meanwhile.
    if (this.#state.version === wanted) this.#state.changeVersion(version)
  }
}

/** A batch that was asked to let go, and failed instead, has let go: the next one finds out whether the trouble is still there. */
function withoutTrouble(outcome: PartitionOutcome): PartitionOutcome {
  if (outcome.end !== 'failed' && outcome.end !== 'slow' && outcome.end !== 'blocked') return outcome
  const { partition, batch, to, messages, head, committed } = outcome
  return { partition, batch, to, messages, head, ...(committed === undefined ? {} : { committed }), end: 'released' }
}

function namesOf(stream: string, partitions: readonly Partition[]): string {
  const names = partitions.slice(0, 3).map(({ index }) => describePartition({ stream, partition: index }))
  return partitions.length > 3 ? `${names.join(', ')} and ${partitions.length - 3} more` : names.join(', ')
}
