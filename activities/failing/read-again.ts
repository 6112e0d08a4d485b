import { isTidemarkError } from '../../src/model/errors.js'
import type { PartitionKey } from '../../src/model/partition.js'
import type { Chunk, FullLetter } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'

const patience = 10_000

/** Reads a message from the log again, of which only the place was kept; null where the log has it no more. */
export async function readAgain(
  { source, settings, budget }: Pick<ConsumerRuntime, 'source' | 'settings' | 'budget'>,
  key: PartitionKey,
  { offset, replay }: Pick<FullLetter, 'offset' | 'replay'>,
): Promise<Chunk | null> {
  const over = new AbortController()
  const { fetchBytes } = settings.chunk
  const reader = source.read(offset, { key, replay, fetchBytes, budget, signal: over.signal })
  try {
    const chunk = await reader.next({ maxMessages: 1, waitMs: patience })
    // Its bytes are few, and its messages outlive it.
    chunk?.release()
    return chunk
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'OUT_OF_RANGE') return null
    throw error
  } finally {
    over.abort()
    await reader.close()
  }
}
