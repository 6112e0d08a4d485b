import { isTidemarkError } from '../../src/model/errors.js'
import { pauseFor } from '../../src/model/pause.js'
import { betweenLooks, looksForStream } from '../../src/model/stream-looks.js'
import type { SourceClient } from '../../src/ports/index.js'

/**
 * Whether the partition has to be opened again: the stream was deleted and made again since `identity` was noted, so its positions mean
 * something else now; or the log could not name it then, because it was empty, and does now. Where nobody can tell (an outage, a
 * stream that is missing) the answer is no, and the reader finds out.
 */
export async function identityChanged(
  source: SourceClient,
  partition: number,
  identity: string | null | undefined,
): Promise<boolean> {
  return another(identity, await source.identity(partition).catch(() => null))
}

/**
 * The same for a stream that nobody reads, which has to be there, too.
 *
 * @throws TidemarkError STREAM_NOT_FOUND
 */
export async function identityChangedOrGone(
  source: SourceClient,
  partition: number,
  identity: string | null | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  for (let look = 1; ; look++) {
    try {
      return another(identity, await source.identity(partition))
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'STREAM_NOT_FOUND') return false
      if (look === looksForStream) throw error
      await pauseFor(betweenLooks, signal)
      if (signal.aborted) return false
    }
  }
}

function another(identity: string | null | undefined, now: string | null): boolean {
  return now !== null && now !== identity
}
