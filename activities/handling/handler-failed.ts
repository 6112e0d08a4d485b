import { TidemarkError } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { Chunk } from '../../src/ports/index.js'
import { textOfThrown } from './error-text.js'

/** Names the group and the messages that its handler failed at. The original is no cause of it: it may quote them. */
export function handlerFailed(thrown: unknown, key: PartitionKey, { messages }: Chunk): TidemarkError {
  const [first, last] = [messages[0]!.offset, messages.at(-1)!.offset]
  const range = first === last ? `offset ${last}` : `offsets ${first} to ${last}`
  return new TidemarkError(
    'HANDLER_FAILED',
    `the handler of group ${key.group} failed at ${describePartition(key)} ${range}: ${textOfThrown(thrown, messages)}`,
    { place: { ...key, offset: String(first) } },
  )
}
