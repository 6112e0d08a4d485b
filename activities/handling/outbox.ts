import type { TransactionContext } from '../../src/handlers/handler.js'
import { TidemarkError } from '../../src/model/errors.js'
import type { SqlProgressLog, Transaction } from '../../src/ports/index.js'

/** What a handler's `context.outbox` is in this transaction. */
export function outboxOf({ outbox }: SqlProgressLog, tx: Transaction): TransactionContext['outbox'] {
  return async (stream, events) => {
    if (outbox) return outbox.append(tx, stream, events)
    throw new TidemarkError(
      'CONFIG_INVALID',
      'context.outbox needs a handler that writes to a Postgres, where the stream is; the transactions of this one are elsewhere',
    )
  }
}
