import type { ChunkHandler } from '../../src/handlers/handler.js'
import type { OutputProgressLog, OutputTransaction } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { DeliverChunk, Delivery } from './delivery.js'
import { handlerRunner } from './run-handler.js'

/** A plain function whose outputs and progress are one transaction of the output's log. */
export function outputsDeliverer(
  runtime: Pick<ConsumerRuntime, 'output' | 'log' | 'stopped'>,
  progress: OutputProgressLog,
  { handle }: ChunkHandler,
  delivery: Delivery,
): DeliverChunk {
  const run = handlerRunner(runtime, delivery)
  const { key, token } = delivery
  return async (chunk) => {
    const { from, next, messages, witness } = chunk
    if (messages.length === 0) return progress.advance(key, token, from, next, witness)
    const work = (tx: OutputTransaction) =>
      run(
        chunk,
        (context) => handle(messages, context),
        (records) => tx.send(records),
      )
    await progress.transact(key, token, from, next, work, witness)
  }
}
