import { UserFailure } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { Chunk } from '../../src/ports/index.js'

/** Names the group and the messages that its handler failed at. */
export function handlerFailed(thrown: unknown, key: PartitionKey, { messages }: Chunk): UserFailure {
  const [first, last] = [messages[0]!.offset, messages.at(-1)!.offset]
  const range = first === last ? `offset ${last}` : `offsets ${first} to ${last}`
  return new UserFailure('HANDLER_FAILED', {
    what: `the handler of group ${key.group} failed at ${describePartition(key)} ${range}`,
    thrown,
    place: { ...key, offset: String(first) },
  })
}
