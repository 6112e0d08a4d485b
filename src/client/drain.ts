import { setTimeout as sleep } from 'node:timers/promises'
import type { ParsedConsumer } from '../config/parse.js'
import type { GroupName } from '../model/partition.js'
import type { PartitionLine } from './partition-line.js'
import type { Session } from './session.js'
import { pauseIn } from './steer.js'
import { type ConsumerView, viewConsumer } from './view.js'

/*
 * Draining pauses a group and waits until it stands still:
 *
 *   pausing      chunks are in hand, or it is not known whether they are
 *   committing   all partitions are paused; what was handled is being committed
 *   drained      what is committed is all that was handled
 *
 * The pause outlives whoever waits.
 */

/** How long a paused partition may take to commit before it is given up, ms. It does not where it was blocked, for example. */
const commitMayTake = 30_000
const every = 500

export interface Drained extends GroupName {
  /** False where somebody stopped waiting, or something could not be committed. */
  readonly drained: boolean
  /** What is worth saying besides; empty as a rule. */
  readonly remark: string
  readonly partitions: readonly Pick<PartitionLine, 'partition' | 'state' | 'position' | 'committed'>[]
}

export interface DrainOptions {
  readonly reason: string
  /** Ends the waiting. */
  readonly signal: AbortSignal
  /** Called with the partitions that have a chunk in hand, whenever that changes. */
  readonly onWaiting: (pausing: readonly number[]) => void
}

/** Pauses a group, and waits until all that it has handled is committed. Throws as `pauseGroup`. */
export async function drainIn(session: Session, consumer: ParsedConsumer, options: DrainOptions): Promise<Drained> {
  const { reason, signal, onWaiting } = options
  const { group, stream, remark, paused } = await pauseIn(session, consumer, { reason })
  const done = (view: ConsumerView, drained: boolean, why = remark): Drained => ({
    ...{ group, stream, drained, remark: why },
    partitions: view.partitions.map(({ partition, state, position, committed }) => ({
      ...{ partition, state, position, committed },
    })),
  })
  let told = ''
  let pausedAt: number | null = null
  for (;;) {
    const view = await viewConsumer(session, consumer)
    // Nothing of it runs.
    if (remark !== '' || !paused) return done(view, true)
    const pausing = stillPausing(view)
    const text = String(pausing)
    if (pausing.length > 0 && text !== told) onWaiting(pausing)
    told = text
    pausedAt = pausing.length > 0 ? null : (pausedAt ?? performance.now())
    const open = consumer.settings.commit.after === 'manual' ? [] : uncommitted(view)
    if (pausing.length === 0 && open.length === 0) return done(view, true)
    if (pausedAt !== null && performance.now() - pausedAt > commitMayTake)
      return done(view, false, `not committed: partitions ${open.join(', ')}. What they have handled stays handled`)
    if (signal.aborted) return done(view, false, 'no longer waiting; the pause holds')
    await sleep(every, undefined, { signal }).catch(() => {})
  }
}

/** Partitions that may have a chunk in hand: all, where no worker says. */
function stillPausing({ config, partitions }: ConsumerView): readonly number[] {
  return partitions.filter(({ state }) => config === null || state !== 'paused').map(({ partition }) => partition)
}

function uncommitted({ partitions }: ConsumerView): readonly number[] {
  return partitions
    .filter(({ position, committed }) => position !== null && position !== committed)
    .map(({ partition }) => partition)
}
