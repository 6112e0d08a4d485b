import { inspect, isDeepStrictEqual } from 'node:util'
import type { TestConsumer } from './kit.js'
import { shownStates } from './states.js'

/** What a matcher of vitest or jest returns. */
export interface MatcherResult {
  readonly pass: boolean
  message(): string
}

/** For `expect.extend` of vitest and jest. Those that ask the workflows are awaited: `await expect(t).toBeCaughtUp()`. */
export const tidemarkMatchers = {
  /** Every partition has handled and committed what is in the log. */
  async toBeCaughtUp(t: TestConsumer): Promise<MatcherResult> {
    const partitions = await t.state()
    const behind = partitions.filter(
      ({ state, lag, position, committed }) =>
        (state !== 'idle' && state !== 'finished') || (state === 'idle' && lag !== 0n) || committed !== position,
    )
    const pass = behind.length === 0
    return {
      pass,
      message: () => (pass ? 'every partition is caught up' : `these are not caught up:\n${shownStates(behind)}`),
    }
  },

  /** A partition is blocked in front of this offset. */
  async toBeBlockedAt(t: TestConsumer, offset: bigint | number, partition?: number): Promise<MatcherResult> {
    const partitions = await t.state()
    const pass = partitions.some(
      (one) =>
        one.state === 'blocked' &&
        one.position === BigInt(offset) &&
        (partition === undefined || one.partition === partition),
    )
    const where = partition === undefined ? `at offset ${offset}` : `at offset ${offset} of partition ${partition}`
    return { pass, message: () => `a partition is${pass ? '' : ' not'} blocked ${where}:\n${shownStates(partitions)}` }
  },

  /** Handlers have returned for messages with exactly these values, in any order; each as often as it is named. */
  toHaveHandled(t: TestConsumer, values: readonly unknown[]): MatcherResult {
    const handled = t.handled().map(({ value }) => value)
    const left = [...handled]
    const missing = values.filter((value) => {
      const index = left.findIndex((one) => isDeepStrictEqual(one, value))
      if (index >= 0) left.splice(index, 1)
      return index < 0
    })
    const pass = missing.length === 0 && left.length === 0
    return {
      pass,
      message: () =>
        pass
          ? 'exactly these messages were handled'
          : `of the messages expected, not handled: ${inspect(missing)}; handled besides: ${inspect(left)} (seed ${t.seed})`,
    }
  },
}

/** The types of `tidemarkMatchers`, for vitest's `Matchers` or jest's. */
export interface TidemarkMatchers<R = unknown> {
  toBeCaughtUp(): Promise<R>
  toBeBlockedAt(offset: bigint | number, partition?: number): Promise<R>
  toHaveHandled(values: readonly unknown[]): R
}
