import type { ConsumerRuntime } from '../runtime.js'
import { chunkDeliverer } from './deliver-chunk.js'
import { outputsDeliverer } from './deliver-outputs.js'
import { transactionalDeliverer } from './deliver-transactional.js'
import type { DeliverChunk, Delivery } from './delivery.js'

export type { DeliverChunk, Delivery } from './delivery.js'

/** The way in which a consumer's handler gets its chunks. */
export function delivererOf(runtime: ConsumerRuntime, delivery: Delivery): DeliverChunk {
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
