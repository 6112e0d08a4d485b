import { TidemarkError } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { TruncatedLog } from '../../src/model/refusals.js'
import type { SeenOffset, StoredOffset } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'

/** Why a stored position can't be gone on from, for people; null where it can. */
export async function whyMisplaced(
  { source }: Pick<ConsumerRuntime, 'source'>,
  { partition }: PartitionKey,
  { position, identity: of }: Pick<StoredOffset, 'position' | 'identity'>,
  identity: string | null,
): Promise<string | null> {
  if (of !== null && identity !== null && of !== identity)
    return `position ${position} belongs to a stream that was deleted; another one of the same name has been created since`
  if (source.sparse) return null
  const bounds = (await source.bounds([partition])).get(partition)
  if (!bounds) return null
  const range = `the log goes from ${bounds.first} to ${bounds.head}`
  if (position < bounds.first)
    return `position ${position} is not in the log any more: ${range}; retention has deleted ${bounds.first - position} offsets that were not handled yet`
  if (position > bounds.head)
    return `position ${position} is beyond the log: ${range}; it was created again, or has lost its newest messages`
  return null
}

/**
 * Makes sure that a position can be read. Where the log has lost it, the consumer's policy decides: stop and say so, or go on at the
 * first or the next message, as a new replay that the store's history tells of.
 *
 * @param stored what the store has
 * @returns whether the store has another position now
 * @throws TidemarkError OUT_OF_RANGE
 */
export async function relocate(
  { source, store, settings }: ConsumerRuntime,
  key: PartitionKey,
  at: Pick<StoredOffset, 'position' | 'identity' | 'replay'>,
  identity: string | null,
  stored: StoredOffset | undefined,
): Promise<boolean> {
  const why = await whyMisplaced({ source }, key, at, identity)
  if (why === null) return false
  const { group, stream, partition } = key
  if (settings.outOfRange === 'fail')
    throw new TidemarkError(
      'OUT_OF_RANGE',
      `${describePartition(key)}, group ${group}: ${why}. Nothing is skipped by itself: choose with ` +
        `'tidemark reset --group ${group} --stream ${stream} --partition ${partition} --to first' (or another place), or set onOutOfRange`,
      { place: { ...key, offset: String(at.position) } },
    )
  const seen =
    stored ?? (await store.open(key, { above: 0, start: at.position, replay: at.replay, identity: at.identity }))
  const to = await source.resolve(partition, settings.outOfRange === 'first' ? 'first' : 'next')
  // This worker may have been frozen since it read the position, and a newer owner far beyond it.
  await store.resetIf(key, seen, { kind: 'skipped', to, by: `onOutOfRange: ${settings.outOfRange}`, why, identity })
  return true
}

/** What an owner has done when it finds out that the log was cut. */
interface Done extends SeenOffset {
  /** Everything before it is handled. */
  readonly position: bigint
  readonly identity: string | null
}

/**
 * Goes on where a log was cut, under the policies that go on by themselves: with the first message that is not the one that was handled.
 * Where nobody can tell which that is, with the policy's own. The log's ends do not show the cut once it is long enough again, so this
 * is for the reader that has noticed it. What an owner has not handled yet stays to be handled.
 */
export async function relocateTo(
  { source, store, settings }: Pick<ConsumerRuntime, 'source' | 'store' | 'settings'>,
  key: PartitionKey,
  { position, identity, ...owner }: Done,
  { at, why }: TruncatedLog,
): Promise<void> {
  if (at !== null && position <= at) return
  const to = at ?? (await source.resolve(key.partition, settings.outOfRange === 'first' ? 'first' : 'next'))
  // Where a person or a newer owner has changed the position meanwhile, theirs counts.
  const by = `onOutOfRange: ${settings.outOfRange}`
  await store.resetIf(key, owner, { kind: 'skipped', to, by, why, identity })
}
