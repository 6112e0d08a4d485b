import { isTidemarkError, messageOf, TidemarkError } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { FencingToken } from '../../src/model/token.js'
import type { Chunk, Transaction } from '../../src/ports/index.js'
import { PositionChanged } from '../committing/commit-as.js'
import type { StoredOffsets } from '../committing/stored-offsets.js'
import type { ConsumerRuntime } from '../runtime.js'
import { outboxOf } from './outbox.js'
import { producing, type RestOfContext } from './outputs.js'
import { redact } from './redact.js'

/** One batch's way of handling a chunk: effects and progress together, or progress right after the effects. */
export type HandleChunk = (chunk: Chunk) => Promise<void>

/**
 * Failure policies hook in here: whatever happens to a chunk's messages, this is the one place that runs the handler and
 * the one place that moves progress.
 */
export function chunkHandler(
  { handler, progress, dedupe, log, stopped, output }: ConsumerRuntime,
  key: PartitionKey,
  token: FencingToken,
  replay: number,
  stored?: StoredOffsets,
): HandleChunk {
  const manual = stored ?? notManual(key)
  const context: RestOfContext = {
    ...key,
    attempt: token.attempt,
    replay,
    signal: stopped,
    log,
    storeOffset: (message) => manual.store(message),
    commit: async () => void (await manual.flush()),
  }

  async function run(chunk: Chunk, call: () => unknown): Promise<void> {
    try {
      await untilStopped(Promise.resolve().then(call), stopped, key)
    } catch (error) {
      // From `context.commit`: the partition is somebody else's, or begins elsewhere. No failure of the handler.
      if (error instanceof PositionChanged || (isTidemarkError(error) && error.effect === 'lost')) throw error
      const failed = isTidemarkError(error) && error.code === 'OUTPUT_FAILED' ? error : handlerFailed(error, key, chunk)
      const frames =
        error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : []
      log.warn({ ...key, attempt: token.attempt, at: frames.slice(0, 5).map((frame) => frame.trim()) }, failed.message)
      throw failed
    }
  }

  if (typeof handler === 'function' && output?.transactional)
    return async (chunk) => {
      if (chunk.messages.length === 0) return progress.advance(key, token, chunk.from, chunk.next)
      await progress.transact(key, token, chunk.from, chunk.next, ({ send }) =>
        run(chunk, () => producing(output, context, chunk, (its) => handler(chunk.messages, its), send)),
      )
    }

  if (typeof handler === 'function')
    return async (chunk) => {
      stored?.hand(chunk)
      if (chunk.messages.length > 0)
        await run(chunk, () => producing(output, context, chunk, (its) => handler(chunk.messages, its)))
      // What the handler stores moves progress instead, now or later.
      if (!stored) await progress.advance(key, token, chunk.from, chunk.next)
    }

  const transact = (from: bigint, to: bigint | (() => bigint), chunk: Chunk) =>
    progress.transact(key, token, from, to, async (tx: Transaction) => {
      const { messages: all } = chunk
      const messages = dedupe ? await untilStopped(dedupe.admit(tx, { ...key, replay }, all), stopped, key) : all
      if (messages.length === 0) return
      const outbox = outboxOf(progress, tx)
      await run(chunk, () =>
        producing(output, context, chunk, (its) => handler.handle(messages, { ...its, tx, outbox })),
      )
    })

  return async (chunk) => {
    stored?.hand(chunk)
    if (chunk.messages.length === 0) return stored ? undefined : progress.advance(key, token, chunk.from, chunk.next)
    try {
      if (stored) await stored.transact((from, to) => transact(from, to, chunk))
      else await transact(chunk.from, chunk.next, chunk)
    } catch (error) {
      // A constraint checked at commit, a lost connection: not the handler's own error, but about the same messages.
      throw isTidemarkError(error) || error instanceof PositionChanged ? error : handlerFailed(error, key, chunk)
    }
  }
}

/** The place of `StoredOffsets` under every other strategy. */
function notManual({ group }: PartitionKey): Pick<StoredOffsets, 'store' | 'flush'> {
  const refuse = (what: string): never => {
    throw new Error(
      `${what} needs the option commit: 'manual'; the offsets of group ${group} are committed by themselves`,
    )
  }
  return { store: () => refuse('storeOffset'), flush: async () => refuse('commit') }
}

/** Lets go of a handler that does not end when the worker has to. Its transaction is rolled back; its promise is left alone. */
async function untilStopped<T>(work: Promise<T>, stopped: AbortSignal, key: PartitionKey): Promise<T> {
  let onStop = () => {}
  const end = new Promise<never>((_, reject) => {
    onStop = () =>
      reject(
        new TidemarkError(
          'HANDLER_FAILED',
          `${describePartition(key)}: the worker stopped before the handler was done; the chunk is handled again elsewhere`,
        ),
      )
    if (stopped.aborted) onStop()
    else stopped.addEventListener('abort', onStop, { once: true })
  })
  try {
    return await Promise.race([work, end])
  } finally {
    stopped.removeEventListener('abort', onStop)
  }
}

function handlerFailed(error: unknown, key: PartitionKey, chunk: Chunk): TidemarkError {
  const last = chunk.messages.at(-1)!.offset
  const range = chunk.from === last ? `offset ${last}` : `offsets ${chunk.messages[0]!.offset} to ${last}`
  const kind = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : ''
  return new TidemarkError(
    'HANDLER_FAILED',
    `the handler of group ${key.group} failed at ${describePartition(key)} ${range}: ${kind}${redact(messageOf(error), chunk.messages)}`,
    { place: { ...key, offset: String(chunk.messages[0]!.offset) } },
  )
}
