import { TidemarkError } from '../model/errors.js'
import type { GroupName } from '../model/partition.js'
import type { Decision, GroupRecord, GroupRecords, PauseRequest, Stop } from '../ports/index.js'
import {
  addedPartitions,
  inOrder,
  paused,
  type RecordChange,
  resliced,
  resumed,
  stopped,
  unpaused,
} from './group-rules.js'

/** A record as it was read. */
export interface StoredRecord {
  readonly record: GroupRecord
  /** Grows with every change of the record. */
  readonly version: number
}

/** What a database must offer for group records: reading, and writing only over the version that was read. */
export interface RecordTable {
  /** Ordered by group and stream. `now` is the database's time. */
  find(filter: Partial<GroupName>): Promise<readonly (StoredRecord & { readonly now: Date })[]>
  /** Returns false if the group has a record already. */
  insert(record: GroupRecord): Promise<boolean>
  /** Writes the record and its history in one transaction. Returns false if the stored version is not `version` any more. */
  replace(version: number, change: RecordChange, at: Date): Promise<boolean>
  /** Deletes the record, if there is one, and writes the history, in one transaction. */
  delete(name: GroupName, decision: Decision): Promise<void>
}

/**
 * Applies the rules to a table: reads a record, decides, and writes it back if nobody else has written in between; otherwise starts over.
 * No lock is held between statements, so a process that freezes in the middle keeps nobody waiting. At every collision one caller has
 * succeeded, so the loops end.
 */
export class RuledGroupRecords implements GroupRecords {
  constructor(private readonly table: RecordTable) {}

  async ensure(
    { group, stream }: GroupName,
    { slices, partitions }: Pick<GroupRecord, 'slices' | 'partitions'>,
  ): Promise<GroupRecord> {
    const name = { group, stream }
    const paused = { group: null, partitions: new Map() }
    const initial = { ...name, slices, generation: 1, partitions: inOrder(partitions), stopped: null, paused }
    for (;;) {
      const stored = await this.read(name)
      if (stored) return stored
      if (await this.table.insert(initial)) return initial
    }
  }

  async read({ group, stream }: GroupName): Promise<GroupRecord | null> {
    const [stored] = await this.table.find({ group, stream })
    return stored?.record ?? null
  }

  async list(filter: Partial<GroupName>): Promise<readonly GroupRecord[]> {
    return (await this.table.find(filter)).map(({ record }) => record)
  }

  async addPartitions(name: GroupName, partitions: readonly number[]): Promise<GroupRecord> {
    const { record } = await this.#change(name, (old) => addedPartitions(old, partitions))
    return record
  }

  async reslice(
    name: GroupName,
    change: Decision & { readonly from: number; readonly slices: number },
  ): Promise<GroupRecord | null> {
    const { record, changed } = await this.#change(name, (old) => resliced(old, change))
    return changed ? record : null
  }

  async stop(name: GroupName, stop: Omit<Stop, 'at'>): Promise<GroupRecord> {
    const { record } = await this.#change(name, (old, at) => stopped(old, stop, at))
    return record
  }

  async resume(name: GroupName, decision: Decision): Promise<GroupRecord> {
    const { record } = await this.#change(name, (old) => resumed(old, decision))
    return record
  }

  async pause(name: GroupName, pause: PauseRequest): Promise<GroupRecord> {
    const { record } = await this.#change(name, (old, at) => paused(old, pause, at))
    return record
  }

  async unpause(name: GroupName, pause: PauseRequest): Promise<GroupRecord> {
    const { record } = await this.#change(name, (old) => unpaused(old, pause))
    return record
  }

  async delete({ group, stream }: GroupName, decision: Decision): Promise<void> {
    await this.table.delete({ group, stream }, decision)
  }

  async #change(
    { group, stream }: GroupName,
    rule: (old: GroupRecord, at: Date) => RecordChange | null,
  ): Promise<{ readonly record: GroupRecord; readonly changed: boolean }> {
    for (;;) {
      const [stored] = await this.table.find({ group, stream })
      if (!stored) throw noRecord({ group, stream })
      const { record, version, now } = stored
      const change = rule(record, now)
      if (!change) return { record, changed: false }
      if (await this.table.replace(version, change, now)) return { record: change.record, changed: true }
    }
  }
}

function noRecord({ group, stream }: GroupName): TidemarkError {
  return new TidemarkError(
    'UNKNOWN_CONSUMER',
    `the store's database has no record of group '${group}' on '${stream}': start the group once, or correct the name`,
    { place: { group, stream } },
  )
}
