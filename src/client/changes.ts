import { UnknownName } from '../model/errors.js'
import { ranges } from '../model/partition.js'
import type { HistoryEntry } from '../ports/index.js'
import type { Wanted } from './find.js'
import { distinct, matches, namesIn, requireMatch } from './group-names.js'
import type { Session } from './session.js'

/**
 * What people and policies did to groups and their positions, newest first. With a partition, the entries about the whole group are included.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER for what neither the config nor the store knows
 */
export async function changesOf(
  session: Session,
  { partition, limit, ...wanted }: Wanted & { readonly partition?: number; readonly limit: number },
): Promise<readonly HistoryEntry[]> {
  await requireHistory(session, wanted, partition)
  const store = await session.store()
  return store.history({ ...wanted, ...(partition === undefined ? {} : { partition }), limit })
}

async function requireHistory(session: Session, wanted: Wanted, partition: number | undefined): Promise<void> {
  const [offsets, records] = await Promise.all([
    session.store().then((store) => store.list({})),
    session.database().then(({ groups }) => groups.list({})),
  ])
  const names = distinct([...offsets, ...records, ...namesIn(session.config)])
  if (!names.some((name) => matches(wanted, name))) {
    // A group that was deleted has left no more than its history.
    if ((await (await session.store()).history({ ...wanted, limit: 1 })).length > 0) return
    requireMatch(wanted, names)
  }
  if (partition === undefined) return
  // A partition may have been paused before it had an offset.
  const recorded = records.flatMap(({ group, stream, partitions }) =>
    partitions.map((known) => ({ group, stream, partition: known })),
  )
  const rows = [...offsets, ...recorded].filter((row) => matches(wanted, row))
  const stored = rows.map((row) => row.partition)
  if (stored.includes(partition)) return
  const of = [wanted.group, wanted.stream].filter((name) => name !== undefined).join(' on ') || 'it'
  throw new UnknownName(`the store has no partition ${partition} of ${of}; it has ${ranges(stored)}`, { partition })
}
