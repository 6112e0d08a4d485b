import type { HandlerContext } from '../../src/handlers/handler.js'
import { saysGone } from '../../src/model/fenced.js'
import type { PartitionKey } from '../../src/model/partition.js'
import type { Log } from '../../src/ports/index.js'
import type { StoredOffsets } from '../committing/stored-offsets.js'
import type { Delivery } from './delivery.js'
import type { Outgoing } from './outputs.js'

/** Builds what every handler gets beside its messages, for one chunk after the other. Transactions add theirs to it. */
export function contextBuilder(
  {
    log,
    changesOfOwner,
  }: {
    readonly log: Log
    /** Takes what `commit` throws because the partition has another owner: a handler may throw anything that only looks like it. */
    readonly changesOfOwner: WeakSet<object>
  },
  { key, token, replay, stored }: Delivery,
): (outgoing: Outgoing, signal: AbortSignal) => HandlerContext {
  const manual = stored ?? notManual(key)
  return (outgoing, signal) => ({
    ...key,
    attempt: token.attempt,
    replay,
    signal,
    log,
    produce: (topic, message) => outgoing.produce(topic, message),
    flush: () => outgoing.flush(),
    storeOffset: (message) => {
      // A commit may pick it up at any moment, and must not be ahead of outputs.
      outgoing.requireFlushed()
      manual.store(message)
    },
    commit: async () => {
      try {
        await manual.flush()
      } catch (error) {
        if (saysGone(error)) changesOfOwner.add(error)
        throw error
      }
    },
  })
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
