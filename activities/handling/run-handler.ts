import type { HandlerContext } from '../../src/handlers/handler.js'
import { isTidemarkError } from '../../src/model/errors.js'
import type { Chunk, OutputClient } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'
import { endAfter } from './chunk-deadline.js'
import { contextBuilder } from './context.js'
import type { Delivery } from './delivery.js'
import { handlerFailed, returnedSomething } from './handler-failed.js'
import { outgoingOf } from './outputs.js'
import { stopOf, untilStopped } from './until-stopped.js'

/**
 * Runs the user's function for a chunk. What it has produced is sent when it has returned, and acknowledged before this resolves:
 * progress moves after that. A function that throws has sent nothing, unless it flushed.
 *
 * @param send where outputs go, if they belong to a transaction
 * @throws UserFailure HANDLER_FAILED for whatever the function throws; OUTPUT_FAILED; and TidemarkError HANDLER_MISTAKEN if it returns
 *   something, CHUNK_TIMEOUT, or, from `context.commit`, FENCED or POSITION_CHANGED
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
  const { key } = delivery
  /** From `context.commit`: the partition has another owner, or begins elsewhere. No failure of the handler. */
  const changesOfOwner = new WeakSet<object>()
  const mistakes = new WeakSet<object>()
  const stop = stopOf({ stopped }, delivery)
  const contextWith = contextBuilder({ log, changesOfOwner }, delivery)

  return async (chunk, call, send) => {
    const outgoing = outgoingOf(output, key, chunk, send)
    const ending = new AbortController()
    const done = endAfter(delivery.timeoutMs ?? null, ending, { key, offset: chunk.from })
    const work = async () => {
      const began = performance.now()
      const called = call(contextWith(outgoing, ending.signal))
      delivery.ran?.(performance.now() - began)
      const returned: unknown = await called
      if (returned !== undefined) {
        const mistake = returnedSomething(returned, key, chunk)
        mistakes.add(mistake)
        throw mistake
      }
      await outgoing.finish()
    }
    try {
      // Begins in a turn of its own, so that what a function throws at once is no different from what it throws later.
      await untilStopped(Promise.resolve().then(work), stop, ending)
    } catch (thrown) {
      const isLate = thrown === ending.signal.reason && isTidemarkError(thrown)
      if (isLate) log.warn({ ...key, code: thrown.code }, thrown.message)
      if (isLate || isOwn(thrown, changesOfOwner, mistakes, outgoing.failures)) throw thrown
      throw handlerFailed(thrown, key, chunk)
    } finally {
      done()
      outgoing.end()
    }
  }
}

/** Whether Tidemark has thrown it, and the handler let it pass. A handler can throw what only looks like it. */
function isOwn(thrown: unknown, ...known: readonly WeakSet<object>[]): boolean {
  if (typeof thrown !== 'object' || thrown === null) return false
  return known.some((errors) => errors.has(thrown))
}
