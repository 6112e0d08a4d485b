import type { StreamChunk } from './chunk.js'

/** What tells a chunk of the log from any other that may be written at its place. */
type Written = Pick<StreamChunk, 'epoch' | 'timestamp' | 'first'>

/**
 * The chunk of the log that holds the message right before a position, as the text that is kept with the position. A chunk is never
 * changed once it is written, and is the same on every replica.
 */
export function witnessOf({ epoch, timestamp, first }: Written): string {
  return `e${epoch}t${timestamp}o${first}`
}

/** Checks a witness that was stored; null if the text is not one of these. */
export function witnessIn(text: string | null | undefined): string | null {
  return /^e\d+t-?\d+o\d+$/.test(text ?? '') ? text! : null
}

/**
 * Whether the log still has the chunk that a witness names; true, too, where retention has deleted it, so that nobody can tell.
 *
 * @param came the first chunk there is from the message before the position on
 * @param chunkAt the chunk that holds an offset; null where there is none
 */
export async function stillHolds(
  witness: string,
  position: bigint,
  came: StreamChunk,
  chunkAt: (offset: bigint) => Promise<StreamChunk | null>,
): Promise<boolean> {
  const before = position - 1n
  // A log that was written anew may have a note of the broker's own in the place of the message. Subscriptions pass over those.
  const chunk = came.first <= before ? came : await chunkAt(before)
  return chunk === null || (chunk.user && witnessOf(chunk) === witness)
}
