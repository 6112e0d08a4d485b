import type { GroupName } from '../../model/partition.js'
import type { Decision, GroupRecord } from '../../ports/index.js'
import type { RecordTable, StoredRecord } from '../../storing/group-records.js'
import type { RecordChange } from '../../storing/group-rules.js'
import { compare, type Memory, matches } from './offsets.js'

/** Group records in the memory of this process. */
export class MemoryGroups implements RecordTable {
  constructor(private readonly memory: Memory) {}

  async find(filter: Partial<GroupName>): Promise<readonly (StoredRecord & { readonly now: Date })[]> {
    return [...this.memory.groups.values()]
      .filter(({ record }) => matches(filter)(record))
      .sort((a, b) => compare(a.record.group, b.record.group) || compare(a.record.stream, b.record.stream))
      .map((stored) => ({ ...stored, now: new Date() }))
  }

  async insert(record: GroupRecord): Promise<boolean> {
    if (this.memory.groups.has(nameOf(record))) return false
    this.memory.groups.set(nameOf(record), { record, version: 1 })
    return true
  }

  async replace(version: number, { record, entry }: RecordChange, at: Date): Promise<boolean> {
    if (this.memory.groups.get(nameOf(record))?.version !== version) return false
    this.memory.groups.set(nameOf(record), { record, version: version + 1 })
    const { group, stream } = record
    if (entry) {
      const { kind, by, why } = entry
      for (const partition of entry.partitions)
        this.memory.note({ group, stream, partition, kind, from: null, to: null, by, why }, at)
    }
    return true
  }

  async delete({ group, stream }: GroupName, { by, why }: Decision): Promise<void> {
    this.memory.groups.delete(nameOf({ group, stream }))
    this.memory.note({ group, stream, partition: null, kind: 'deleted', from: null, to: null, by, why })
  }
}

function nameOf({ group, stream }: GroupName): string {
  return JSON.stringify([group, stream])
}
