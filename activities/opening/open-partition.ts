import type { OpenRequest, Ownership } from '../../src/model/batch.js'
import { TidemarkError } from '../../src/model/errors.js'
import { describePartition, type GroupName, type PartitionKey } from '../../src/model/partition.js'
import type { Progress, StoredOffset } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'
import { relocate } from './relocation.js'
import { type Where, whereToGoOn } from './where.js'

type There = Extract<Where, { where: 'there' }>

/** How often others may change what was read before the activity is tried again as a whole. */
const rounds = 5
/** Changes looked through for the last one that moved a position: pauses of the partition stand among them. */
const changesLookedThrough = 1_000

/**
 * Takes ownership of a partition: a new epoch, greater than any that the offset store or the progress rows have seen, so that a loss of
 * either (or of Temporal's data) can't bring an old owner back. The start option counts only where neither knows the partition.
 *
 * @param offsets what the store has of the group
 * @throws TidemarkError OUT_OF_RANGE, PROGRESS_LOST
 */
export async function openPartition(
  runtime: ConsumerRuntime,
  name: GroupName,
  request: OpenRequest,
  offsets: Promise<readonly StoredOffset[]>,
): Promise<Ownership> {
  const { source, store, log } = runtime
  const { partition, above, head } = request
  const key = { ...name, partition }
  for (let round = 1, read = offsets; round <= rounds; round++, read = store.read(name.group, name.stream)) {
    const [group, done, identity] = await Promise.all([read, runtime.progress.read(key), source.identity(partition)])
    const stored = group.find((one) => one.partition === partition)
    const there = await placeOf(runtime, key, request, stored, done, identity)
    if (there === null || !(await corrected(runtime, key, stored, there))) continue
    const { position, replay } = there
    const belongs = there.identity ?? identity
    const begin = async () => {
      const isNamed = done?.identity !== null || belongs === null
      if (!done || done.replay < replay || !isNamed)
        await runtime.progress.begin(key, { position, replay, identity: belongs })
    }
    // First of all: a store that knows a partition whose progress is not there tells of a loss.
    const isForeign = stored?.epoch === 0 && done !== null
    if (!isForeign) await begin()
    const least = Math.max(above, done?.token.epoch ?? 0)
    const owned = await store.open(key, { above: least, start: position, replay, identity: belongs })
    if (owned.replay !== replay || owned.position > position) continue
    if (isForeign) await begin()
    if (there.warning !== undefined) log.warn(key, there.warning)
    return {
      epoch: owned.epoch,
      position: String(position),
      committed: String(owned.position),
      replay,
      identity: owned.identity,
      ...(head ? { head: String((await source.bounds([partition])).get(partition)!.head) } : {}),
    }
  }
  throw new TidemarkError(
    'UNREACHABLE',
    `${describePartition(key)} of group ${key.group} is opened by others at the same time`,
    {
      place: key,
    },
  )
}

/** Where it goes on; null where a policy has just put it elsewhere. */
async function placeOf(
  runtime: ConsumerRuntime,
  key: PartitionKey,
  { added, remembered }: OpenRequest,
  stored: StoredOffset | undefined,
  done: Progress | null,
  identity: string | null,
): Promise<There | null> {
  const { source, store, progress, settings } = runtime
  const lastMove = async () =>
    (await store.history({ ...key, limit: changesLookedThrough })).find(({ to }) => to !== null)?.to ?? null
  const { outranksStore } = progress
  const where = await whereToGoOn({ stored, done, outranksStore, lastMove })
  if (where.where === 'lost') throw progressLost(key, where.why)
  if (where.where === 'start') {
    const position = await source.resolve(key.partition, added ? 'first' : settings.start)
    if (remembered !== undefined && BigInt(remembered) !== position)
      throw progressLost(
        key,
        `it had come to ${remembered}, and neither the offset store nor the handlers' database knows it any more`,
      )
    return { where: 'there', position, replay: 0, identity }
  }
  return (await relocate(runtime, key, where, identity, stored)) ? null : where
}

/** Corrects the store's position if it is wrong. Returns false if someone else changed it first. */
async function corrected(
  { store, log }: ConsumerRuntime,
  key: PartitionKey,
  stored: StoredOffset | undefined,
  { position: to, replay, identity, moved }: There,
): Promise<boolean> {
  if (moved === undefined || !stored) return true
  log.warn(key, moved)
  return (
    (await store.resetIf(key, stored, { kind: 'restored', to, by: 'tidemark', why: moved, identity, replay })) !== null
  )
}

function progressLost(key: PartitionKey, why: string): TidemarkError {
  const { group, stream, partition } = key
  return new TidemarkError(
    'PROGRESS_LOST',
    `${describePartition(key)}, group ${group}: ${why}. Nothing is skipped or repeated by itself: say where to go on with ` +
      `'tidemark reset --group ${group} --stream ${stream} --partition ${partition} --to POSITION'`,
    { place: key },
  )
}
