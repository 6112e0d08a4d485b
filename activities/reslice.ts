import type { Enrolled, ResliceInput } from '../src/model/batch.js'
import { reporting } from './failure.js'
import { heartbeatingIfLong } from './heartbeat.js'
import type { ConsumerRuntime } from './runtime.js'

/**
 * Changes the number of slices in a group's record. The generation makes it safe to repeat: a second try, or a second person, finds
 * another generation than `from`, changes nothing, and learns what the record says.
 */
export function createReslice({ source, records, settings, errors }: ConsumerRuntime) {
  return ({ name, from, slices, by, reason }: ResliceInput): Promise<Pick<Enrolled, 'slices' | 'generation'>> =>
    reporting(errors, () =>
      heartbeatingIfLong(settings.heartbeatTimeoutMs, async () => {
        // The record may have been lost with its database.
        const known =
          (await records.read(name)) ?? (await records.ensure(name, { slices, partitions: await source.partitions() }))
        if (known.slices === slices) return known
        return (await records.reslice(name, { from, slices, by, why: reason })) ?? (await records.read(name)) ?? known
      }),
    ).then(({ slices, generation }) => ({ slices, generation }))
}
