import { Context } from '@temporalio/activity'
import type { PollInput, PollResult } from '../src/model/batch.js'
import { isTidemarkError, messageOf } from '../src/model/errors.js'
import { bySlice } from '../src/model/partition.js'
import { pauseFor } from '../src/model/pause.js'
import { joined } from '../src/model/signals.js'
import { hasLostProgress } from './committing/lost-progress.js'
import { reporting } from './failure.js'
import { heartbeats } from './heartbeat.js'
import { knowsMore } from './polling/known.js'
import { type SliceRest, SliceWatch } from './polling/slice-watch.js'
import type { ConsumerRuntime } from './runtime.js'

/** How often the poll looks at slices that may come to rest, and at those that rest already, ms. */
const lookEvery = 2_000
const lookAtRestEvery = 10_000
/** How often the poll asks the stream for its partitions, ms. */
const partitionsEvery = 10_000
/** How often the poll compares the group with its record, ms. */
const recordEvery = 10_000
/** How often the poll looks whether the handlers' database still has what partitions at rest have done, ms. */
const progressEvery = 10_000
/** After this long without an answer from the log, the poll moves to another worker, ms: this one may be cut off. */
const unreachableFor = 10_000
/** The longest that one activity waits, ms. */
const longest = 60 * 60_000

/**
 * The group's one activity that waits: for messages in all slices that are at rest, for partitions that are added, and for slices that
 * do not run. It wakes slices by signal and goes on. It heartbeats, so that messages for partitions at rest wait for the heartbeat timeout
 * when its worker dies, and not for the end of this hour.
 */
export function createPoll(runtime: ConsumerRuntime) {
  const { source, records, settings, draining, log } = runtime
  return ({ name, partitions, slices, generation, pauses }: PollInput): Promise<PollResult> =>
    reporting(runtime.errors, async () => {
      const { signal, leave } = joined(Context.current().cancellationSignal, draining)
      const watches = [...bySlice(partitions, slices).keys()].map((slice) => new SliceWatch(runtime, name, slice))
      const stop = heartbeats(settings.heartbeatTimeoutMs, () => ({
        resting: watches.filter(({ state }) => state === 'resting').length,
        slices: watches.length,
      }))
      const until = performance.now() + longest
      let restLookedAt = Number.NEGATIVE_INFINITY
      let partitionsAt = performance.now()
      let recordAt = Number.NEGATIVE_INFINITY
      let progressAt = performance.now()
      let silentSince: number | null = null

      /** Partitions that were added; throws once the log has not answered for a while. */
      async function added(): Promise<number[]> {
        if (performance.now() - partitionsAt < partitionsEvery) return []
        partitionsAt = performance.now()
        try {
          const there = await source.partitions()
          silentSince = null
          return there.filter((partition) => !partitions.includes(partition))
        } catch (error) {
          // The batches of its partitions report a stream that is gone.
          if (isTidemarkError(error) && error.code === 'STREAM_NOT_FOUND') return []
          silentSince ??= performance.now()
          log.warn({ ...name, error: messageOf(error) }, 'could not look for added partitions')
          if (performance.now() - silentSince >= unreachableFor) throw error
          return []
        }
      }

      /** Whether people have decided more than the group knows. Its record outranks a Temporal that was restored to an older state. */
      async function outdated(): Promise<boolean> {
        if (performance.now() - recordAt < recordEvery) return false
        recordAt = performance.now()
        const record = await records.read(name).catch(() => null)
        return record !== null && knowsMore(record, { generation, pauses })
      }

      const hasLost = (resting: SliceRest['partitions']) =>
        hasLostProgress(
          runtime,
          Object.entries(resting).map(([partition, [position]]) => ({
            key: { ...name, partition: Number(partition) },
            position: BigInt(position),
          })),
        )

      async function lookAtProgress(): Promise<void> {
        if (performance.now() - progressAt < progressEvery) return
        progressAt = performance.now()
        await Promise.all(watches.map((watch) => watch.wakeIf(hasLost)))
      }

      async function look(): Promise<void> {
        const all = performance.now() - restLookedAt >= lookAtRestEvery
        if (all) restLookedAt = performance.now()
        const due = watches.filter(({ quiet }) => all || !quiet)
        const looks = await Promise.allSettled(due.map((watch) => watch.look()))
        const failed = looks.find((one) => one.status === 'rejected')
        if (failed) log.debug({ ...name, error: messageOf(failed.reason) }, 'could not look at a slice')
      }

      try {
        for (;;) {
          // First of all: what a person has paused is not to be handled.
          const behind = await outdated()
          if (!behind) await look()
          await lookAtProgress()
          const result: PollResult = {
            ...(behind && { outdated: true }),
            added: await added(),
            missing: watches.filter(({ gone }) => gone).map(({ slice }) => slice),
            stopped: watches.flatMap(({ state, slice }) =>
              state === 'cancelled' || state === 'terminated' ? [{ slice, how: state }] : [],
            ),
          }
          const news = behind || result.added.length + result.missing.length + result.stopped.length > 0
          if (news || signal.aborted || performance.now() > until) return result
          await pauseFor(lookEvery, signal)
        }
      } finally {
        leave()
        stop()
        for (const watch of watches) watch.stop()
      }
    })
}
