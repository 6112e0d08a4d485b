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
  return async (chunk, aside) => {
    const { from, next, messages, witness } = chunk
    const records = aside?.records ?? []
    if (messages.length === 0 && records.length === 0) return progress.advance(key, token, from, next, witness)
    const work = async (tx: OutputTransaction) => {
      if (messages.length > 0)
        await run(
          chunk,
          (context) => handle(messages, context),
          (sent) => tx.send(sent),
        )
      if (records.length > 0) await tx.send(records)
    }
    await progress.transact(key, token, from, next, work, witness)
  }
}
