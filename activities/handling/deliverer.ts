import { UserFailure } from '../../src/model/errors.js'
import type { ConsumerRuntime } from '../runtime.js'
import { chunkDeliverer } from './deliver-chunk.js'
import { outputsDeliverer } from './deliver-outputs.js'
import { transactionalDeliverer } from './deliver-transactional.js'
import type { DeliverChunk, Delivery } from './delivery.js'

export type { DeliverChunk, Delivery } from './delivery.js'

/** The way in which a consumer's handler gets its chunks. A failure of user code leaves with what was thrown told apart from it. */
export function delivererOf(runtime: ConsumerRuntime, delivery: Delivery): DeliverChunk {
  const deliver = plainDelivererOf(runtime, delivery)
  return async (chunk) => {
    try {
      await deliver(chunk)
    } catch (error) {
      if (!(error instanceof UserFailure)) throw error
      throw runtime.errors.failed(error)
    }
  }
}

function plainDelivererOf(runtime: ConsumerRuntime, delivery: Delivery): DeliverChunk {
  const { handler, output } = runtime
  switch (handler.kind) {
    case 'transactional':
      return transactionalDeliverer(runtime, handler, delivery)
    case 'chunk':
      return output?.transactions
        ? outputsDeliverer(runtime, output.transactions, handler, delivery)
        : chunkDeliverer(runtime, handler, delivery)
  }
}
