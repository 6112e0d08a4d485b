import type { OpenInput, Ownership } from '../src/model/batch.js'
import type { StoredOffset } from '../src/ports/index.js'
import { relocate } from './batch/locate.js'
import { reporting } from './failure.js'
import type { ConsumerRuntime } from './runtime.js'

/**
 * Takes ownership of a partition: a new epoch, greater than any that the offset store or the progress row has seen, so
 * that a loss of either (or of Temporal's data) can't bring an old owner back. The start option counts only where neither
 * knows the partition.
 */
export function createOpen(runtime: ConsumerRuntime) {
  const { source, store, progress, settings } = runtime
  return ({ key, above, added, head }: OpenInput): Promise<Ownership> =>
    reporting(key, async () => {
      // One after the other: both as a rule ask the same pool, and a connection more for each partition costs more than it saves.
      const offsets = await store.read(key.group, key.stream)
      const done = await progress.read(key)
      const identity = await source.identity(key.partition)
      const stored = offsets.find(({ partition }) => partition === key.partition)
      // What was handled may be ahead of what was committed. Only the same replay counts: a reset goes back on purpose.
      const reached = ({ position, replay }: Pick<StoredOffset, 'position' | 'replay'>) =>
        done !== null && done.replay === replay && done.position > position ? done.position : position
      if (stored) await relocate(runtime, key, { ...stored, position: reached(stored) }, identity)
      const start =
        stored?.position ?? done?.position ?? (await source.resolve(key.partition, added ? 'first' : settings.start))
      const owned = await store.open(key, { above: Math.max(above, done?.token.epoch ?? 0), start, identity })
      return {
        epoch: owned.epoch,
        position: String(reached(owned)),
        committed: String(owned.position),
        replay: owned.replay,
        identity: owned.identity,
        ...(head ? { head: String((await source.bounds([key.partition])).get(key.partition)!.head) } : {}),
      }
    })
}
