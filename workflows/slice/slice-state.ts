import {
  CancellationScope,
  defineQuery,
  defineSignal,
  type ExternalWorkflowHandle,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow'
import type { BatchTrouble, PartitionOutcome, PauseNote } from '../../src/model/batch.js'
import {
  type FallbackCommand,
  names,
  type PartitionStart,
  type PartitionStatus,
  type RedriveCommand,
  type ReopenCommand,
  type SliceInput,
  type SliceMemo,
  type SliceReport,
  type SliceStatus,
  type TroubledBatch,
  type WakeCommand,
} from '../../src/model/commands.js'
import { groupWorkflowId } from '../../src/model/partition.js'
import type { Revision } from '../../src/model/revision.js'
import { detailsOf, statesOf } from '../details.js'
import { showStates } from '../search-attributes.js'
import { Alarm } from './alarm.js'
import { Partition } from './partition.js'
import { showStopped } from './stopped-memo.js'

/** To some partitions, or to all when absent. */
interface Which {
  readonly partitions?: readonly number[]
}

export const configureSignal = defineSignal<[Revision]>(names.configure)
export const ownSignal = defineSignal<[{ generation: number; partitions: readonly PartitionStart[] }]>(names.own)
export const pauseSignal = defineSignal<[Which & { note: PauseNote }]>(names.pause)
export const resumeSignal = defineSignal<[Which]>(names.resume)
export const reopenSignal = defineSignal<[ReopenCommand]>(names.reopen)
export const redriveSignal = defineSignal<[RedriveCommand]>(names.redrive)
export const fallbackSignal = defineSignal<[FallbackCommand]>(names.fallback)
export const finishSignal = defineSignal(names.finish)
export const reportSignal = defineSignal<[SliceReport]>(names.report)
const wakeSignal = defineSignal<[WakeCommand?]>(names.wake)
const leaveSignal = defineSignal<[readonly PartitionOutcome[]]>(names.leave)
const troubleSignal = defineSignal<[Readonly<Record<string, BatchTrouble>>]>(names.trouble)
const statusQuery = defineQuery<SliceStatus>(names.status)

/** A report of a slice where everything is well. */
const nothingWrong = JSON.stringify([[], []])

/** How commands reach the batches that are under way. */
export interface UnderWay {
  /** Asks batches to let these partitions go after the chunk in hand. */
  release(partitions: readonly Partition[]): void
  /** Asks all batches, or those of some versions of the config, to end after the chunks in hand. */
  releaseAll(isMeant?: (version: string) => boolean): void
  /** A batch has let partitions go and goes on without them. */
  left(outcomes: readonly PartitionOutcome[]): void
  /** Which batches are in trouble now, by the IDs of their activities. */
  told(troubles: Readonly<Record<string, BatchTrouble>>): void
  /** Batches in trouble that their partitions' conditions do not tell of. */
  readonly troubled: readonly TroubledBatch[]
  /** Where a partition is worked now, and with which version of the config. */
  placeOf(partition: Partition): Pick<PartitionStatus, 'place' | 'version'>
}

/**
 * What a slice knows, and what people, workers and batches may tell it. A command changes this state only; the loop in slice.ts reacts
 * to it, and `underWay` passes the command on to batches.
 */
export class SliceState {
  readonly input: SliceInput
  revision: Revision
  /** The version that batches are worked with: another than the revision's where no worker has that one. */
  version: string
  readonly partitions: Map<number, Partition>
  /** In force, and for the workers of another build. */
  #successor: Revision | undefined
  #finishing = false
  #underWay: UnderWay | undefined
  #rests: number
  /** The partitions that rest, by the last memo. */
  #rested = ''
  /** What the group was told. It may know something else of an earlier run. */
  #reported = workflowInfo().continuedFromExecutionRunId ? '' : nothingWrong
  #shown: string
  #published = ''
  readonly #alarm = new Alarm()

  constructor(input: SliceInput) {
    this.input = input
    this.revision = input.revision
    this.version = input.version ?? input.revision.version
    this.partitions = new Map(input.partitions.map((record) => [record.partition, new Partition(record)]))
    this.#rests = input.rests ?? 0
    this.#shown = String(statesOf([...this.partitions.values()]))
  }

  /** Listens to commands. Called once the batches' side is there, since a signal may be waiting already. */
  listen(underWay: UnderWay): void {
    this.#underWay = underWay
    setHandler(configureSignal, (revision) => this.#configure(revision))
    setHandler(ownSignal, ({ generation, partitions }) => this.#own(generation, partitions))
    setHandler(pauseSignal, ({ partitions, note }) => {
      const which = this.#those(partitions)
      for (const partition of which) partition.pause(note)
      underWay.release(which)
    })
    setHandler(resumeSignal, ({ partitions }) => {
      for (const partition of this.#those(partitions)) partition.resume()
    })
    setHandler(reopenSignal, ({ partitions }) => {
      const which = this.#those(partitions)
      for (const partition of which) partition.reopen()
      underWay.release(which)
    })
    setHandler(redriveSignal, ({ partitions }) => {
      const which = this.#those(partitions)
      for (const partition of which) partition.stir()
      // The next batch looks for what was asked.
      underWay.release(which)
    })
    setHandler(fallbackSignal, (command) => this.#fallBack(command))
    setHandler(finishSignal, () => {
      this.#finishing = true
      underWay.releaseAll()
    })
    setHandler(wakeSignal, ({ partition: found, position } = {}) => {
      for (const partition of this.partitions.values()) partition.wake(partition.index === found ? position : null)
    })
    setHandler(leaveSignal, (outcomes) => underWay.left(outcomes))
    setHandler(troubleSignal, (troubles) => underWay.told(troubles))
    setHandler(statusQuery, () => this.status())
  }

  /** The workflow is to end: the group is finished, was stopped, or has other slices now. */
  get finishing(): boolean {
    return this.#finishing
  }

  /** The workflow is to continue on the task queue of another build's workers. */
  get moving(): boolean {
    return this.#successor !== undefined
  }

  status(): SliceStatus {
    const partitions = [...this.partitions.values()].map(
      (partition): PartitionStatus => ({
        ...partition.report(),
        paused: partition.paused,
        progress: partition.progress ?? null,
        ...(this.#underWay?.placeOf(partition) ?? { place: 'none', version: this.version }),
      }),
    )
    return { slice: this.input.slice, partitions }
  }

  /** What the next run begins with. Called when nothing is under way any more. */
  snapshot(): SliceInput {
    if (this.#successor) this.#adopt(this.#successor)
    return {
      ...this.input,
      revision: this.revision,
      version: this.version,
      partitions: [...this.partitions.values()].map((partition) => partition.record()),
      rests: this.#rests,
    }
  }

  /** Nobody took a batch of the version until now. The group tells the other slices, which need not find out by themselves. */
  changeVersion(version: string): void {
    if (version === this.version) return
    const command: FallbackCommand = { wanted: this.revision.version, version }
    this.#fallBack(command)
    CancellationScope.nonCancellable(() => this.#group().signal(fallbackSignal, command)).catch(() => {})
  }

  /** Something changed since `publish`. */
  get stale(): boolean {
    return this.#text() !== this.#published
  }

  /** Tells everybody who looks from outside: the Temporal UI, the group, and the group's poll. Costs events only where something changed. */
  publish(): void {
    const partitions = [...this.partitions.values()]
    this.#published = this.#text()
    setCurrentDetails(detailsOf(this.input, this.version, partitions, this.#troubled))
    this.#showStates(partitions)
    this.#showRest(partitions)
    showStopped(partitions.map((partition) => partition.record()))
    this.#report(partitions)
    this.#setAlarm(partitions)
  }

  #setAlarm(partitions: readonly Partition[]): void {
    const alarms = partitions.flatMap(({ alarm }) => alarm ?? [])
    this.#alarm.set(alarms.length > 0 ? Math.min(...alarms) : null, () => {
      for (const partition of partitions)
        if (partition.alarm !== null && partition.alarm <= Date.now()) partition.wake()
    })
  }

  get #troubled(): readonly TroubledBatch[] {
    return this.#underWay?.troubled ?? []
  }

  #text(): string {
    const records = [...this.partitions.values()].map((partition) => partition.record())
    return JSON.stringify([this.version, records, this.#troubled])
  }

  #showStates(partitions: readonly Partition[]): void {
    const states = statesOf(partitions, this.#troubled)
    if (!this.input.searchAttributes || String(states) === this.#shown) return
    this.#shown = String(states)
    showStates(states)
  }

  /** Tells the group's poll where to wait for messages. What was said before stays until the slice rests again, and does no harm. */
  #showRest(partitions: readonly Partition[]): void {
    const resting = partitions.filter(({ resting }) => resting)
    const places = resting.map(({ index, progress }) => [index, [progress!.position, progress!.identity]] as const)
    const rested = JSON.stringify(places)
    if (rested === this.#rested) return
    this.#rested = rested
    if (places.length === 0) return
    this.#rests++
    const rest: SliceMemo['rest'] = { count: this.#rests, partitions: Object.fromEntries(places) }
    upsertMemo({ rest })
  }

  #report(partitions: readonly Partition[]): void {
    const unhealthy = partitions.filter(({ condition }) => condition !== 'healthy').map((one) => one.report())
    const troubled = this.#troubled
    const text = JSON.stringify([unhealthy, troubled])
    if (text === this.#reported) return
    this.#reported = text
    const { slice, generation } = this.input
    // The group keeps a list of reports; a slice works without a group that hears it.
    CancellationScope.nonCancellable(() =>
      this.#group().signal(reportSignal, {
        slice,
        generation,
        partitions: unhealthy,
        ...(troubled.length > 0 ? { troubled } : {}),
      }),
    ).catch(() => {})
  }

  #group(): ExternalWorkflowHandle {
    const { group, stream } = this.input.name
    return getExternalWorkflowHandle(groupWorkflowId(group, stream))
  }

  #fallBack({ wanted, version }: FallbackCommand): void {
    if (wanted !== this.revision.version || version === this.version) return
    this.version = version
    this.#underWay?.releaseAll((other) => other !== version)
  }

  #configure(revision: Revision): void {
    if (revision.queues.workflows !== this.revision.queues.workflows) {
      // Another build's workers don't know what this workflow would ask of them: the one that continues there adopts the revision.
      this.#successor = revision
      this.#underWay?.releaseAll()
      return
    }
    this.#successor = undefined
    // The workers of a version that was given up may be back.
    const returned = this.version !== revision.version
    const before = [...this.partitions.values()].filter(({ owned }) => owned)
    const changed = this.#adopt(revision)
    // Their batches may be in the hands of a worker that is gone for good, or may be retrying a handler that this revision
    // mends. A worker finishes the chunks in hand before it lets go.
    if (changed || returned) this.#underWay?.releaseAll()
    else this.#underWay?.release(before.filter(({ owned }) => !owned))
  }

  /** Returns whether the revision is another config. */
  #adopt(revision: Revision): boolean {
    const changed = revision.version !== this.revision.version || revision.until !== this.revision.until
    this.revision = revision
    this.version = revision.version
    for (const partition of this.partitions.values()) partition.configure(revision, changed)
    return changed
  }

  #own(generation: number, starts: readonly PartitionStart[]): void {
    if (generation !== this.input.generation) {
      this.#finishing = true
      this.#underWay?.releaseAll()
      return
    }
    for (const start of starts) {
      const known = this.partitions.get(start.partition)
      if (!known) this.partitions.set(start.partition, Partition.begin(start))
      else if (start.paused) {
        known.pause(start.paused)
        this.#underWay?.release([known])
      }
    }
    // The group may have been started anew, and know nothing of what was reported before.
    this.#reported = ''
    this.#published = ''
  }

  #those(partitions: readonly number[] | undefined): Partition[] {
    return [...this.partitions.values()].filter(({ index }) => partitions?.includes(index) ?? true)
  }
}
