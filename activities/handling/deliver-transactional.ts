import type { TransactionalHandler } from '../../src/handlers/handler.js'
import { isTidemarkError } from '../../src/model/errors.js'
import type { Chunk, Transaction } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { Aside, DeliverChunk, Delivery } from './delivery.js'
import { handlerFailed } from './handler-failed.js'
import { outboxOf } from './outbox.js'
import { handlerRunner } from './run-handler.js'
import { stopOf, untilStopped } from './until-stopped.js'

/** A handler inside a database transaction: its effects, its inbox keys and progress are committed together. */
export function transactionalDeliverer(
  runtime: Pick<ConsumerRuntime, 'sql' | 'dedupe' | 'output' | 'log' | 'stopped'>,
  handler: TransactionalHandler,
  delivery: Delivery,
): DeliverChunk {
  const { sql: progress, dedupe } = runtime
  const { key, token, replay, stored } = delivery
  const stop = stopOf(runtime, delivery)
  const run = handlerRunner(runtime, delivery)

  async function handle(chunk: Chunk, tx: Transaction, aside: Aside | undefined): Promise<void> {
    if (chunk.messages.length > 0) await give(chunk, tx)
    await aside?.sql?.(tx)
  }

  async function give(chunk: Chunk, tx: Transaction): Promise<void> {
    const { messages: all } = chunk
    const messages = dedupe ? await untilStopped(dedupe.admit(tx, { ...key, replay }, all), stop) : all
    if (messages.length === 0) return
    const outbox = outboxOf(progress, tx)
    await run(chunk, (context) => handler.handle(messages, { ...context, tx, outbox }))
  }

  return async (chunk, aside) => {
    const transact = (from: bigint, to: bigint | (() => bigint), witness?: string) =>
      progress.transact(key, token, from, to, (tx) => handle(chunk, tx, aside), witness)

    stored?.hand(chunk)
    const { from, next, witness } = chunk
    if (chunk.messages.length === 0 && !aside?.sql)
      return stored ? undefined : progress.advance(key, token, from, next, witness)
    try {
      if (stored) await stored.transact((done, to) => transact(done, to))
      else await transact(from, next, witness)
    } catch (error) {
      // A constraint checked at commit, a lost connection: not thrown by the handler, but about the same messages.
      if (isTidemarkError(error) || chunk.messages.length === 0) throw error
      throw handlerFailed(error, key, chunk)
    }
  }
}
