import type { PartitionBatch } from '../../src/model/batch.js'
import { TidemarkError } from '../../src/model/errors.js'
import { batchGround } from './batch-ground.js'
import { working } from './virtual-time.js'

/** A partition with messages that come every so many ms (0: all at once), in chunks of one, which take the handler so long. */
export interface Neighbour {
  readonly chunks: number
  readonly everyMs: number
  readonly callMs: number
  /** Its handler fails at this offset, each time. */
  readonly failsAt?: number
  /** Its log can't be read at this offset. */
  readonly blockedAt?: number
  /** Its batch has to let it go so many ms after the beginning. */
  readonly releasedAtMs?: number
}

export interface Scenario {
  readonly healthy: readonly Neighbour[]
  readonly troubled: readonly Neighbour[]
  readonly maxMessages: number
  readonly maxDurationMs: number
  readonly restAfterMs: number
  readonly mayLeave: number
}

/** How often a slice that rests is begun again here, ms. That is the poll's time and not the batch's, so it does not count. */
const wakeMs = 10

/**
 * Works batch after batch, as a slice does, until the healthy partitions are done: what leaves a batch does not come back.
 *
 * @returns how long each chunk of a healthy partition waited, ms, and the healthy partitions that were not done in time
 */
export async function simulate(given: Scenario): Promise<{ held: number[]; unhandled: number[] }> {
  const { maxMessages, maxDurationMs, restAfterMs, mayLeave } = given
  const all = [...given.healthy, ...given.troubled]
  const { begin, own, log, calls, told } = await batchGround({
    handle: async ([message]) => {
      const { callMs, failsAt } = all[message!.partition]!
      await working(callMs)
      if (failsAt === Number(message!.offset)) throw new Error('no such account')
    },
    batch: { maxMessages, maxDurationMs, restAfterMs },
    settings: { chunk: { maxMessages: 1, fetchBytes: 1_000, targetMs: null } },
  })
  const beginning = performance.now()
  let batches = await own(Object.fromEntries(all.map((_, partition) => [partition, 0])))
  all.forEach(({ chunks, everyMs, blockedAt }, partition) => {
    for (let n = 0; n < chunks; n++) setTimeout(() => log.append(partition), n * everyMs)
    if (blockedAt !== undefined)
      log.fails(partition, BigInt(blockedAt), new TidemarkError('OUT_OF_RANGE', 'it is gone'))
  })
  const unhandled = () =>
    given.healthy.flatMap(({ chunks }, partition) => {
      const done = calls.filter((call) => call.partition === partition && call.ended !== undefined)
      return done.length < chunks ? [partition] : []
    })
  const rests: { readonly from: number; readonly to: number }[] = []
  const longest = beginning + 120_000
  while (unhandled().length > 0 && batches.length > 0 && performance.now() < longest) {
    told.length = 0
    const { batch, result } = begin(batches, { mayLeave })
    for (const [partition, { releasedAtMs }] of all.entries())
      if (releasedAtMs !== undefined)
        setTimeout(
          () => batch.release((asked) => asked === partition),
          Math.max(0, beginning + releasedAtMs - performance.now()),
        )
    const { partitions } = await result
    batches = batches.flatMap((one): PartitionBatch[] => {
      const outcome = partitions.find(({ partition }) => partition === one.partition)!
      const goesOn = outcome.end === 'more' || outcome.end === 'rest'
      return goesOn ? [{ ...one, batch: one.batch + 1, from: outcome.to }] : []
    })
    if (partitions.some(({ end }) => end === 'rest')) {
      const from = performance.now()
      await working(wakeMs)
      rests.push({ from, to: performance.now() })
    }
  }
  const held = given.healthy.flatMap(({ chunks, everyMs }, partition) => {
    const mine = calls.filter((call) => call.partition === partition)
    return Array.from({ length: Math.min(chunks, mine.length) }, (_, n) => {
      const ready = Math.max(beginning + n * everyMs, mine[n - 1]?.ended ?? 0)
      const { begun } = mine[n]!
      const resting = rests.reduce(
        (sum, { from, to }) => sum + Math.max(0, Math.min(to, begun) - Math.max(from, ready)),
        0,
      )
      return begun - ready - resting
    })
  })
  return { held, unhandled: unhandled() }
}
