import { TidemarkError } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { ConsumerSettings } from '../../src/model/settings.js'
import type { Failing, Suspect } from '../../src/model/trouble.js'
import type { Chunk } from '../../src/ports/index.js'
import { pauseAfter, retryIn } from './retry-after.js'
import type { Troubles } from './troubles.js'

/*
 * A message may end the process of its worker: an endless loop, too much memory, `process.exit`. Nobody is left to say so. The next owner
 * only knows that Temporal has missed the worker. Then:
 *
 * 1. The first time, it notes the stretch in which the message may be. In it, each chunk is noted before its handler gets it.
 * 2. The next time, the note says which chunk was in hand. The stretch is handled in smaller chunks, and with a pause before, so that its
 *    neighbours get ahead; one such chunk at a time on each worker, so that a healthy one is not taken for the cause again and again.
 * 3. A worker that is lost with one message alone in hand counts against that message. After `retry.crashes` of them the message is not tried
 *    again.
 */

/** A stretch of so few messages is handled one by one; a longer one in so many pieces. */
const pieces = 100

/**
 * A worker was lost while it had the partition. Notes what it may have been lost at.
 *
 * @returns an error where it is known: the partition is to leave its batch, and to be tried again after a pause
 */
export async function afterLoss(
  { chunk, failures, retry }: Pick<ConsumerSettings, 'chunk' | 'failures' | 'retry'>,
  key: PartitionKey,
  position: bigint,
  troubles: Troubles,
  now: number,
): Promise<TidemarkError | null> {
  const suspect = troubles.suspectAt(position)
  const inHand = suspect?.inHand
  const { letter } = troubles
  if (suspect && letter?.inHand) {
    const losses = letter.losses + 1
    await troubles.note({ letter: { id: letter.id, offset: letter.offset, losses } })
    const text = `a worker was lost while it handled the dead letter of ${describePartition(key)} offset ${letter.offset}, group ${key.group}, ${losses === 1 ? 'once' : `${losses} times`}; it waits for a person again after ${failures.crashes}`
    return lost(key, letter.offset, text, pauseAfter(losses, retry, failures))
  }
  if (!suspect || !inHand || BigInt(inHand.from) !== position) {
    const until = String(position + BigInt(chunk.maxMessages))
    await troubles.note({ suspect: suspect ?? { until, crashes: 0 } })
    return null
  }
  const crashes = suspect.crashes + 1
  const { inHand: _, ...rest } = suspect
  if (inHand.messages > 1) {
    const size = inHand.messages <= pieces ? 1 : Math.ceil(inHand.messages / pieces)
    await troubles.note({ suspect: { ...rest, crashes, size, lostAt: now } })
    const text = `a worker was lost while it handled offsets ${inHand.from} to ${BigInt(inHand.to) - 1n} of ${describePartition(key)}, group ${key.group}; they are tried again in smaller chunks`
    return lost(key, inHand.from, text, pauseAfter(crashes, retry, failures))
  }
  // The message's own offset may lie behind the position.
  const offset = String(BigInt(inHand.to) - 1n)
  const before = troubles.failingAt(BigInt(offset))
  const text = `a worker was lost while it handled ${describePartition(key)} offset ${offset} of group ${key.group}`
  const failing: Failing = {
    position: offset,
    tries: (before?.tries ?? 0) + 1,
    crashes: (before?.crashes ?? 0) + 1,
    firstAt: before?.firstAt ?? now,
    lastAt: now,
    code: 'WORKER_LOST',
    first: before?.first ?? text,
    last: text,
  }
  await troubles.note({ suspect: { ...rest, crashes, lostAt: now }, failing })
  const told = `${text}, ${failing.crashes === 1 ? 'once' : `${failing.crashes} times`}; it is set aside, or stops its partition, after ${failures.crashes}`
  return lost(key, offset, told, pauseAfter(failing.tries, retry, failures))
}

/**
 * The handler took too long for a chunk. Once more, and the stretch is handled in smaller chunks, which are no more work: one message may be what it
 * hangs at.
 */
export async function narrow(troubles: Troubles, { from, next }: Chunk, messages: number): Promise<void> {
  const before = troubles.suspectAt(from)
  const timeouts = (before?.timeouts ?? 0) + 1
  const size = timeouts < 2 ? before?.size : messages <= pieces ? 1 : Math.ceil(messages / pieces)
  const until = String(before && BigInt(before.until) > next ? BigInt(before.until) : next)
  await troubles.note({
    suspect: { until, crashes: before?.crashes ?? 0, timeouts, ...(size !== undefined && { size }) },
  })
}

/** Notes which chunk the handler gets. */
export async function mark(troubles: Troubles, suspect: Suspect, { from, next, messages }: Chunk): Promise<void> {
  const inHand = {
    from: String(from),
    to: String((messages.at(-1)?.offset ?? next - 1n) + 1n),
    messages: messages.length,
  }
  await troubles.note({ suspect: { ...suspect, inHand } })
}

/** The handler has failed by itself, or was let go of: no worker was lost. */
export async function unmark(troubles: Troubles, position: bigint): Promise<void> {
  const suspect = troubles.suspectAt(position)
  if (!suspect?.inHand) return
  const { inHand: _, ...rest } = suspect
  await troubles.note({ suspect: rest })
}

function lost(key: PartitionKey, offset: string, text: string, pauseMs: number): TidemarkError {
  return retryIn(new TidemarkError('WORKER_LOST', text, { place: { ...key, offset } }), pauseMs)
}

/** Stands in a letter for what nobody could catch. */
export class CrashesUsedUp extends Error {
  override readonly name = 'WorkerLost'
  readonly code = 'WORKER_LOST'
}
