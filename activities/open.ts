import type { OpenInput, OpenOutcome, OpenRequest, Ownership } from '../src/model/batch.js'
import { isTidemarkError, type TidemarkError } from '../src/model/errors.js'
import type { GroupName } from '../src/model/partition.js'
import type { StoredOffset } from '../src/ports/index.js'
import { relocate } from './batch/relocation.js'
import { reporting } from './failure.js'
import { heartbeatingIfLong } from './heartbeat.js'
import type { ConsumerRuntime } from './runtime.js'

/**
 * Takes ownership of partitions: new epochs, greater than any that the offset store or the progress rows have seen, so
 * that a loss of either (or of Temporal's data) can't bring an old owner back. The start option counts only where neither
 * knows the partition. Partitions are opened side by side: stores and sources answer what is asked together with one request.
 */
export function createOpen(runtime: ConsumerRuntime) {
  const { settings, log, observer } = runtime
  return ({ name, partitions }: OpenInput): Promise<readonly OpenOutcome[]> =>
    reporting(runtime.errors, () =>
      heartbeatingIfLong(settings.heartbeatTimeoutMs, async () => {
        const offsets = runtime.store.read(name.group, name.stream)
        const settled = await Promise.allSettled(partitions.map((request) => openOne(runtime, name, request, offsets)))
        const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
        const lasting = (error: unknown): error is TidemarkError => isTidemarkError(error) && error.effect !== 'retry'
        // Nothing could be opened: the activity itself is retried, with a growing pause.
        const passing = failures.find((error) => !lasting(error))
        if (passing !== undefined && failures.length === partitions.length && !failures.some(lasting)) throw passing
        return settled.map((one, index): OpenOutcome => {
          const { partition } = partitions[index]!
          if (one.status === 'fulfilled') return { partition, outcome: 'owned', ...one.value }
          const reason = runtime.errors.reason(one.reason, { ...name, partition })
          log.warn({ ...name, partition }, `could not be opened: ${reason}`)
          if (!lasting(one.reason)) return { partition, outcome: 'failed', reason }
          const { code, place } = one.reason
          const offset = place.offset === undefined ? null : BigInt(place.offset)
          observer.blocked({ ...name, partition, offset, code, message: reason })
          return { partition, outcome: 'blocked', reason }
        })
      }),
    )
}

async function openOne(
  runtime: ConsumerRuntime,
  name: GroupName,
  { partition, above, added, head }: OpenRequest,
  offsets: Promise<readonly StoredOffset[]>,
): Promise<Ownership> {
  const { source, store, progress, settings } = runtime
  const key = { ...name, partition }
  const [group, done, identity] = await Promise.all([offsets, progress.read(key), source.identity(partition)])
  const stored = group.find((one) => one.partition === partition)
  // What was handled may be ahead of what was committed. Only the same replay counts: a reset goes back on purpose.
  const reached = ({ position, replay }: Pick<StoredOffset, 'position' | 'replay'>) =>
    done !== null && done.replay === replay && done.position > position ? done.position : position
  if (stored) await relocate(runtime, key, { ...stored, position: reached(stored) }, identity)
  const start =
    stored?.position ?? done?.position ?? (await source.resolve(partition, added ? 'first' : settings.start))
  const owned = await store.open(key, { above: Math.max(above, done?.token.epoch ?? 0), start, identity })
  return {
    epoch: owned.epoch,
    position: String(reached(owned)),
    committed: String(owned.position),
    replay: owned.replay,
    identity: owned.identity,
    ...(head ? { head: String((await source.bounds([partition])).get(partition)!.head) } : {}),
  }
}
