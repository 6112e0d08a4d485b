import type { PartitionKey } from '../model/partition.js'
import type { ByteBudget, Message, Poison, SourceClient } from '../ports/index.js'

/** One message is looked at here and there: nothing to ration. */
const unlimited: ByteBudget = { take: async () => ({ resize: () => {}, release: () => {} }) }

export interface Found {
  /** Null where none came in time, and where it can't be read. */
  readonly message: Message | null
  readonly poison?: Poison
}

/**
 * The first message at or behind a position, without a worker.
 *
 * @param waitMs how long to wait for it
 * @throws TidemarkError as `Reader.next`
 */
export async function nextMessage(
  source: SourceClient,
  { key, position }: { readonly key: PartitionKey; readonly position: bigint },
  {
    waitMs,
    fetchBytes,
    signal,
  }: { readonly waitMs: number; readonly fetchBytes: number; readonly signal: AbortSignal },
): Promise<Found> {
  const reader = source.read(position, { key, replay: 0, fetchBytes, budget: unlimited, signal })
  try {
    const deadline = performance.now() + waitMs
    // A chunk may hold nothing but a gap.
    for (let left = waitMs; left > 0; left = deadline - performance.now()) {
      const chunk = await reader.next({ maxMessages: 1, waitMs: left })
      chunk?.release()
      const message = chunk?.messages[0]
      if (message) return { message }
      if (chunk?.poison) return { message: null, poison: chunk.poison }
      if (!chunk) break
    }
    return { message: null }
  } finally {
    void reader.close().catch(() => {})
  }
}
