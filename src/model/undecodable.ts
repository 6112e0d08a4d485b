import { unlessItThrows } from './thrown.js'

/**
 * A decoder throws this, or rejects with it, where no retry can ever decode the value: it has another format, or an unknown schema.
 * The partition handles the messages in front of it and stops there with UNDECODABLE. Any other rejection is retried.
 *
 * The message counts as one of your own errors: the consumer's option `errors` says how much of it Temporal gets.
 */
export class Undecodable extends Error {
  override readonly name = 'Undecodable'
}

/** True for an `Undecodable`, also of a second copy of the package. Never throws. */
export function isUndecodable(thrown: unknown): boolean {
  return unlessItThrows(() => thrown instanceof Error && thrown.name === 'Undecodable') ?? false
}
