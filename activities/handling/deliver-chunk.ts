import type { ChunkHandler } from '../../src/handlers/handler.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { DeliverChunk, Delivery } from './delivery.js'
import { handlerRunner } from './run-handler.js'

/** A plain function, at least once: progress moves after it has returned and its outputs are acknowledged. */
export function chunkDeliverer(
  runtime: Pick<ConsumerRuntime, 'progress' | 'sql' | 'output' | 'log' | 'stopped'>,
  { handle }: ChunkHandler,
  delivery: Delivery,
): DeliverChunk {
  const run = handlerRunner(runtime, delivery)
  const { key, token, stored } = delivery
  return async (chunk, aside) => {
    stored?.hand(chunk)
    if (chunk.messages.length > 0) await run(chunk, (context) => handle(chunk.messages, context))
    // What the handler stores moves progress instead, now or later.
    if (stored) return
    const { from, next, witness } = chunk
    if (aside?.sql) await runtime.sql.transact(key, token, from, next, aside.sql, witness)
    else await runtime.progress.advance(key, token, from, next, witness)
  }
}
