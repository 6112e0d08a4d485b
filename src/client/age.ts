import { eachOf } from '../model/each-of.js'
import type { PartitionKey } from '../model/partition.js'
import { dateOf } from '../model/times.js'
import type { Message, SourceClient } from '../ports/index.js'
import { nextMessage } from './next-message.js'

/** Looks under way at the same time. */
const lanes = 8
/** How long one look, and all of them together, may take, ms. A number that comes late helps nobody in an incident. */
const longestLook = 1_500
const longest = 4_000
const fetchBytes = 16 * 1024

/**
 * How old the message at each position is, ms: for how long the oldest one has been waiting to be handled. Null where it can't be
 * read or decoded in time, or nobody knows when it was written.
 */
export async function agesAt(
  source: SourceClient,
  positions: readonly { readonly key: PartitionKey; readonly position: bigint }[],
): Promise<Map<number, number | null>> {
  // A timer of its own: see src/model/signals.ts.
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), longest)
  const look = async (one: (typeof positions)[number]) =>
    [one.key.partition, await ageAt(source, one, over.signal)] as const
  try {
    return new Map(await eachOf(positions, lanes, look))
  } finally {
    clearTimeout(timer)
  }
}

/** Null where the log does not know when the message was written. Clocks differ: a message from the future is a new one. */
function ageOf({ timestamp }: Message): number | null {
  const written = dateOf(timestamp)
  return written && Math.max(0, Date.now() - written.getTime())
}

async function ageAt(
  source: SourceClient,
  at: { readonly key: PartitionKey; readonly position: bigint },
  signal: AbortSignal,
): Promise<number | null> {
  if (signal.aborted) return null
  try {
    const { message } = await nextMessage(source, at, { waitMs: longestLook, fetchBytes, signal })
    return message ? ageOf(message) : null
  } catch {
    return null
  }
}
