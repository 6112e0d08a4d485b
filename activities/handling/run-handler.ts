import type { HandlerContext } from '../../src/handlers/handler.js'
import { isTidemarkError, type TidemarkError } from '../../src/model/errors.js'
import type { Chunk, OutputClient } from '../../src/ports/index.js'
import { PositionChanged } from '../committing/commit-as.js'
import type { ConsumerRuntime } from '../runtime.js'
import { stopOfChunk } from './chunk-deadline.js'
import { contextBuilder } from './context.js'
import type { Delivery } from './delivery.js'
import { framesOf, unlessItThrows } from './error-text.js'
import { handlerFailed } from './handler-failed.js'
import { outgoingOf } from './outputs.js'
import { stopOf, untilStopped } from './until-stopped.js'

/**
 * Runs the user's function for a chunk. What it has produced is sent when it has returned, and acknowledged before this resolves:
 * progress moves after that. A function that throws has sent nothing, unless it flushed.
 *
 * @param send where outputs go, if they belong to a transaction
 * @throws TidemarkError HANDLER_FAILED for whatever the function throws, written to the log once; CHUNK_TIMEOUT; OUTPUT_FAILED; and, from
 *   `context.commit`, FENCED or PositionChanged
 */
export type RunHandler = (
  chunk: Chunk,
  call: (context: HandlerContext) => unknown,
  send?: OutputClient['send'],
) => Promise<void>

export function handlerRunner(
  { log, stopped, output }: Pick<ConsumerRuntime, 'log' | 'stopped' | 'output'>,
  delivery: Delivery,
): RunHandler {
  const { key, token } = delivery
  const stop = stopOf({ stopped }, delivery)
  const contextWith = contextBuilder(log, delivery)

  return async (chunk, call, send) => {
    const outgoing = outgoingOf(output, key, chunk, send)
    const stopOfThis = stopOfChunk(stop, key, chunk.from, delivery.timeoutMs ?? null)
    const work = async () => {
      const began = performance.now()
      const called = call(contextWith(outgoing, stopOfThis.signal))
      delivery.ran?.(performance.now() - began)
      await called
      await outgoing.finish()
    }
    try {
      // Begins in a turn of its own, so that what a function throws at once is no different from what it throws later.
      await untilStopped(Promise.resolve().then(work), stopOfThis)
    } catch (thrown) {
      if (changesOwner(thrown)) throw thrown
      const failed = knownFailure(thrown) ?? handlerFailed(thrown, key, chunk)
      log.warn({ ...key, attempt: token.attempt, at: framesOf(thrown) }, failed.message)
      throw failed
    } finally {
      stopOfThis.end()
      outgoing.end()
    }
  }
}

/** From `context.commit`: the partition has another owner, or begins elsewhere. No failure of the handler. */
function changesOwner(thrown: unknown): boolean {
  const changes = () => thrown instanceof PositionChanged || (isTidemarkError(thrown) && thrown.effect === 'lost')
  return unlessItThrows(changes) ?? false
}

/** Not the handler's own failure, though it may pass it on. */
function knownFailure(thrown: unknown): TidemarkError | undefined {
  return unlessItThrows(() =>
    isTidemarkError(thrown) && (thrown.code === 'OUTPUT_FAILED' || thrown.code === 'CHUNK_TIMEOUT')
      ? thrown
      : undefined,
  )
}
