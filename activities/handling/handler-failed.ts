import { type TidemarkError, UserFailure } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import { handlerMistaken } from '../../src/model/refusals.js'
import { unlessItThrows } from '../../src/model/thrown.js'
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

/**
 * Refuses what a handler returned. Its work may be in there, undone: in a generator that nobody runs, in promises that nobody awaits, in
 * the function that was meant to be the handler.
 */
export function returnedSomething(returned: unknown, key: PartitionKey, { messages }: Chunk): TidemarkError {
  const text =
    `it returned ${kindOf(returned)}, and Tidemark expects nothing, or a promise of nothing. ` +
    'Await what the handler does, let it return nothing, restart the workers, and resume'
  return handlerMistaken(key, messages[0]!.offset, text)
}

/** Says what it is, and nothing of what is in it. Never throws. */
function kindOf(returned: unknown): string {
  if (typeof returned === 'function') return 'a function, which was not called'
  if (typeof returned !== 'object')
    return returned === true || returned === false ? 'a boolean' : `a ${typeof returned}`
  if (returned === null) return 'null'
  return unlessItThrows(() => kindOfObject(returned)) ?? 'an object'
}

function kindOfObject(returned: object): string {
  if (Array.isArray(returned)) {
    const isOpen = returned.some((one) => one instanceof Promise)
    return isOpen ? 'an array of promises, which were not awaited' : 'an array'
  }
  const runs = 'next' in returned && (Symbol.iterator in returned || Symbol.asyncIterator in returned)
  return runs ? 'an iterator, as a generator does, and its body has not run' : 'an object'
}
