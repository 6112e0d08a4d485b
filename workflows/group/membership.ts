import { ApplicationFailure } from '@temporalio/workflow'
import type { Enrolled, PauseNote, Pauses } from '../../src/model/batch.js'
import type {
  FallbackCommand,
  GroupInput,
  GroupState,
  GroupStatus,
  PartitionReport,
  PartitionStart,
  ResumeCommand,
  SliceReport,
  TroubledBatch,
} from '../../src/model/commands.js'
import { ranges, sliceOf } from '../../src/model/partition.js'
import type { Revision } from '../../src/model/revision.js'
import { groupDetailsOf } from '../details.js'

/** What a group knows: its record in the store's database as last read, and what its slices report. */
export class Membership {
  pauses: Pauses
  readonly slices: number
  readonly generation: number
  #revision: Revision
  #version: string
  readonly #partitions: Set<number>
  readonly #added: Set<number>
  readonly #reports: Map<number, PartitionReport>
  /** Batches in trouble by slice. */
  readonly #troubled: Map<string, readonly TroubledBatch[]>

  constructor(
    private readonly input: GroupInput,
    state: GroupState,
  ) {
    this.#revision = input.revision
    this.#version = state.version ?? input.revision.version
    this.pauses = state.pauses
    this.slices = state.slices
    this.generation = state.generation
    this.#partitions = new Set(state.partitions)
    this.#added = new Set(input.added)
    this.#reports = new Map(state.reports.map((report) => [report.partition, report]))
    this.#troubled = new Map(Object.entries(state.troubled ?? {}))
  }

  get revision(): Revision {
    return this.#revision
  }

  /** The version of the config that batches are worked with: another than the revision's where no worker has that one. */
  get version(): string {
    return this.#version
  }

  get partitions(): number[] {
    return [...this.#partitions].sort((a, b) => a - b)
  }

  /** Whether a bounded run is over. */
  get finished(): boolean {
    const { until } = this.#revision
    if (until === undefined || this.#partitions.size === 0) return false
    return [...this.#partitions].every((partition) => this.#reports.get(partition)?.condition === 'finished')
  }

  /** A worker has started with this config, so its version has a worker. */
  configure(revision: Revision): void {
    this.#revision = revision
    this.#version = revision.version
  }

  /** Returns whether batches are worked with another version from now on. */
  fallBack({ wanted, version }: FallbackCommand): boolean {
    if (wanted !== this.#revision.version || version === this.#version) return false
    this.#version = version
    return true
  }

  /** @param added those that came when the group was reading already */
  add(partitions: readonly number[], added: readonly number[]): void {
    for (const partition of partitions) this.#partitions.add(partition)
    for (const partition of added) this.#added.add(partition)
  }

  /** What a slice has to know about partitions that it is given. */
  starts(partitions: readonly number[]): PartitionStart[] {
    return partitions.map((partition) => {
      const paused = this.#pauseOf(partition)
      return { partition, ...(this.#added.has(partition) ? { added: true } : {}), ...(paused ? { paused } : {}) }
    })
  }

  /** Partitions that were paused since their slices were told about them, by their pause. */
  pausesSince(starts: readonly PartitionStart[]): Map<PauseNote, number[]> {
    const found = new Map<PauseNote, number[]>()
    for (const { partition, paused } of starts) {
      const note = this.#pauseOf(partition)
      if (note && note !== paused) found.set(note, [...(found.get(note) ?? []), partition])
    }
    return found
  }

  /** Takes over the pauses that are not known yet. Returns the partitions that are paused by them, by their pause. */
  takePauses({ group, partitions }: Pauses): Map<PauseNote, number[]> {
    const running = this.partitions.filter((partition) => !this.#pauseOf(partition))
    const fresh = partitions.filter(({ partition }) =>
      this.pauses.partitions.every((one) => one.partition !== partition),
    )
    this.pauses = { group: this.pauses.group ?? group, partitions: [...this.pauses.partitions, ...fresh] }
    const paused = new Map<PauseNote, number[]>()
    for (const partition of running) {
      const note = this.#pauseOf(partition)
      if (note) paused.set(note, [...(paused.get(note) ?? []), partition])
    }
    return paused
  }

  /** Of the partitions that slices were told to start paused, those that are no longer paused. */
  resumedSince(starts: readonly PartitionStart[]): number[] {
    return starts.flatMap(({ partition, paused }) => (paused && !this.#pauseOf(partition) ? [partition] : []))
  }

  /** A slice reports its unhealthy partitions and its batches in trouble. Those it does not name are well. */
  hear({ slice, generation, partitions, troubled = [] }: SliceReport): void {
    // A late report of a slice that reslicing has ended.
    if (generation !== this.generation) return
    for (const partition of this.#reports.keys())
      if (sliceOf(partition, this.slices) === slice) this.#reports.delete(partition)
    for (const report of partitions) this.#reports.set(report.partition, report)
    this.#troubled.delete(String(slice))
    if (troubled.length > 0) this.#troubled.set(String(slice), troubled)
  }

  /** @throws ApplicationFailure UNKNOWN_PARTITION */
  refuseUnknown({ partitions = [] }: { readonly partitions?: readonly number[] }): void {
    const stranger = partitions.find((partition) => !this.#partitions.has(partition))
    if (stranger === undefined) return
    throw ApplicationFailure.nonRetryable(
      `${this.input.stream} has no partition ${stranger}; this group has ${this.#partitions.size > 0 ? ranges(this.partitions) : 'none yet'}`,
      'UNKNOWN_PARTITION',
    )
  }

  /** @throws ApplicationFailure GROUP_PAUSED for single partitions, while the whole group is paused */
  refuseUnderPause({ partitions }: ResumeCommand): void {
    const { group } = this.pauses
    if (!partitions || !group) return
    throw ApplicationFailure.nonRetryable(
      `the whole group ${this.input.group} on ${this.input.stream} is paused (${group.reason}, by ${group.by} at ${group.since}): ` +
        'resume the group, and then pause the partitions that are to stay paused',
      'GROUP_PAUSED',
    )
  }

  /** The input of a run that begins from the group's record. */
  anew(): GroupInput {
    const { group, stream, searchAttributes } = this.input
    const added = [...this.#added]
    return { group, stream, searchAttributes, revision: this.revision, ...(added.length > 0 ? { added } : {}) }
  }

  /** The input of a run that continues this one. */
  next(): GroupInput {
    return { ...this.anew(), record: this.state() }
  }

  state(): GroupState {
    return {
      slices: this.slices,
      generation: this.generation,
      partitions: this.partitions,
      pauses: this.pauses,
      version: this.#version,
      reports: [...this.#reports.values()].sort((a, b) => a.partition - b.partition),
      ...(this.#troubled.size > 0 ? { troubled: Object.fromEntries(this.#troubled) } : {}),
    }
  }

  status(): GroupStatus {
    const { group, stream } = this.input
    return { group, stream, revision: this.#revision, ...this.state() }
  }

  /** The group's page in the Temporal UI. */
  details(): string {
    return groupDetailsOf(this.status())
  }

  #pauseOf(partition: number): PauseNote | undefined {
    return this.pauses.partitions.find((one) => one.partition === partition) ?? this.pauses.group ?? undefined
  }
}

/** A group's first state, from its record. */
export function stateOf({ slices, generation, pauses }: Enrolled): GroupState {
  return { slices, generation, partitions: [], pauses, reports: [] }
}
