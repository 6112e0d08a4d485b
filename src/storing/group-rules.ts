import type { Decision, GroupChangeKind, GroupRecord, PauseRequest, Stop } from '../ports/index.js'

/*
 * What each call makes of a group's record. A rule returns null if there is nothing to change. `at` is the database's time.
 *
 *   call       needs                            changes                               history, by
 *   stop       no stop                          stopped                               stopped, the group
 *   resume     a stop                           stopped = null                        restarted, the group
 *   pause      no pause of the group            paused.group                          paused, the group
 *     of some  partitions without own pauses    their paused.partitions               paused, each partition
 *   unpause    any pause                        paused = nothing                      resumed, the group
 *     of some  partitions with own pauses       their paused.partitions               resumed, each partition
 *   reslice    the generation of the caller     slices, generation + 1                resliced, the group
 *   delete     nothing                          no record any more                    deleted, the group
 *   add        partitions that are not known    partitions                            nothing
 */

export interface RecordChange {
  readonly record: GroupRecord
  /** Null for changes that the history leaves out. */
  readonly entry: ChangeEntry | null
}

/** One history entry for each partition; null stands for the whole group. */
export interface ChangeEntry extends Decision {
  readonly kind: GroupChangeKind
  readonly partitions: readonly (number | null)[]
}

const wholeGroup = [null]

export function addedPartitions(record: GroupRecord, added: readonly number[]): RecordChange | null {
  const partitions = inOrder([...record.partitions, ...added])
  return partitions.length === record.partitions.length ? null : { record: { ...record, partitions }, entry: null }
}

export function resliced(
  record: GroupRecord,
  { from, slices, by, why }: Decision & { readonly from: number; readonly slices: number },
): RecordChange | null {
  if (record.generation !== from) return null
  return {
    record: { ...record, slices, generation: from + 1 },
    entry: { kind: 'resliced', partitions: wholeGroup, by, why: because(`${record.slices} to ${slices} slices`, why) },
  }
}

export function stopped(record: GroupRecord, { by, why, how }: Omit<Stop, 'at'>, at: Date): RecordChange | null {
  if (record.stopped) return null
  return {
    record: { ...record, stopped: { at, by, why, how } },
    entry: { kind: 'stopped', partitions: wholeGroup, by, why: because(how, why) },
  }
}

export function resumed(record: GroupRecord, { by, why }: Decision): RecordChange | null {
  if (!record.stopped) return null
  return { record: { ...record, stopped: null }, entry: { kind: 'restarted', partitions: wholeGroup, by, why } }
}

export function paused(record: GroupRecord, { partitions, by, why }: PauseRequest, at: Date): RecordChange | null {
  const { group, partitions: old } = record.paused
  const pause = { at, by, why }
  if (!partitions) {
    if (group) return null
    return {
      record: { ...record, paused: { group: pause, partitions: old } },
      entry: { kind: 'paused', partitions: wholeGroup, by, why },
    }
  }
  const wanted = inOrder(partitions).filter((partition) => !old.has(partition))
  if (wanted.length === 0) return null
  const pauses = new Map([...old, ...wanted.map((partition) => [partition, pause] as const)])
  return {
    record: { ...record, paused: { group, partitions: pauses } },
    entry: { kind: 'paused', partitions: wanted, by, why },
  }
}

export function unpaused(record: GroupRecord, { partitions, by, why }: PauseRequest): RecordChange | null {
  const { group, partitions: old } = record.paused
  if (!partitions) {
    if (!group && old.size === 0) return null
    return {
      record: { ...record, paused: { group: null, partitions: new Map() } },
      entry: { kind: 'resumed', partitions: wholeGroup, by, why },
    }
  }
  const wanted = inOrder(partitions).filter((partition) => old.has(partition))
  if (wanted.length === 0) return null
  const pauses = new Map(old)
  for (const partition of wanted) pauses.delete(partition)
  return {
    record: { ...record, paused: { group, partitions: pauses } },
    entry: { kind: 'resumed', partitions: wanted, by, why },
  }
}

/** Ascending, each number once. */
export function inOrder(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b)
}

function because(what: string, why: string): string {
  return why ? `${what}: ${why}` : what
}
