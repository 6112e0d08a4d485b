import { messageOf } from '../../src/model/errors.js'
import type { ConsumerRuntime } from '../runtime.js'

/** How often a consumer looks for letters whose retention is over, ms. */
const sweepEvery = 60_000
/** Letters deleted by one statement, so that each is a short transaction. */
const sweepPiece = 1_000
/** Where the consumer's options set nothing aside any more, ms. */
const usualRetention = 30 * 24 * 3_600_000

type Sweeper = Pick<ConsumerRuntime, 'letters' | 'settings' | 'log' | 'draining'>

const sweptAt = new WeakMap<Sweeper, number>()

/**
 * Deletes old letters that are done with, beside the work and in small pieces, where the last time was long enough ago. Never rejects: what it
 * can't do now it does later.
 */
export async function sweepLetters(runtime: Sweeper): Promise<void> {
  const now = performance.now()
  if (now - (sweptAt.get(runtime) ?? Number.NEGATIVE_INFINITY) < sweepEvery) return
  sweptAt.set(runtime, now)
  const { letters, settings, log, draining } = runtime
  const { group, stream, failures } = settings
  const { afterLastTry } = failures
  const retentionMs = afterLastTry.policy === 'dead-letter' ? afterLastTry.retentionMs : usualRetention
  try {
    let deleted = 0
    for (let piece = sweepPiece; piece === sweepPiece && !draining.aborted; deleted += piece)
      piece = await letters.expire({ group, stream }, retentionMs, sweepPiece)
    if (deleted > 0) log.debug({ group, stream, deleted }, 'deleted dead letters whose retention is over')
  } catch (error) {
    log.warn(
      { group, stream, error: messageOf(error) },
      'could not delete old dead letters that are done with; trying again in a minute',
    )
  }
}
