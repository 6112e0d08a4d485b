import { unlessItThrows } from './thrown.js'

/*
 * What a handler may throw to say what kind of failure it is. Anything else is looked at by `classify` of the consumer's options, and then
 * by Tidemark (activities/failing/classify.ts).
 */

/**
 * This message can never be handled, and no retry helps: it goes to the consumer's `afterLastTry` at once. Thrown for a chunk of several
 * messages, it makes Tidemark look for the one, where it may (`isolate`).
 */
export class Poison extends Error {
  override readonly name = 'Poison'
}

/**
 * Something that the handler needs is away: a service, a database. The message is no worse for it: no try is used, nothing is set aside.
 * The partition waits until what it needs is back, tries every few seconds with one chunk of one partition, and goes on by itself.
 */
export class DownstreamUnavailable extends Error {
  override readonly name = 'DownstreamUnavailable'

  /** @param dependency names it, for example `payments`: partitions that wait for the same name wait together. For people, too */
  constructor(
    readonly dependency: string,
    options: { readonly cause?: unknown; readonly message?: string } = {},
  ) {
    super(
      options.message ?? `${dependency} is unavailable`,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
  }
}

/**
 * Some messages of the chunk have failed, and all others are done. Tidemark goes on with the failed ones alone: each has its own tries.
 *
 * A plain handler may throw it only when the effects of all other messages are complete, and when none of them depends on a failed one:
 * where the order of a key matters, name the later messages of that key as failed, too. In a transactional handler everything is rolled
 * back, and the others are handled again, without the failed ones.
 */
export class PartialFailure extends Error {
  override readonly name = 'PartialFailure'

  /**
   * @param messages those that failed, of this chunk
   * @param cause why; it is classified as if the handler had thrown it
   */
  constructor(
    readonly messages: readonly { readonly offset: bigint }[],
    cause: unknown,
  ) {
    super(`${messages.length} of the chunk's messages failed`, { cause })
  }
}

/** Whether it is one of the errors above, by its name: it may be a second copy of the package's. Never throws. */
export function isNamed(thrown: unknown, name: 'Poison' | 'DownstreamUnavailable' | 'PartialFailure'): boolean {
  return unlessItThrows(() => thrown instanceof Error && thrown.name === name) ?? false
}
