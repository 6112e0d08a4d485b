import type { ParsedConsumer } from '../config/parse.js'
import type { TestStream } from './messages.js'

/** The consumer of a group; without a name, the only one. Throws where that is not clear, and says which there are. */
export function consumerOf(consumers: readonly ParsedConsumer[], group?: string): ParsedConsumer {
  const found = consumers.filter(({ settings }) => group === undefined || settings.group === group)
  if (found.length === 1) return found[0]!
  const there = consumers.map(({ settings }) => `'${settings.group}' of ${settings.stream}`).join(', ')
  throw new Error(
    group === undefined
      ? `say which group: ${there}`
      : `${found.length === 0 ? 'no group' : 'several streams are read by group'} '${group}'; there are ${there}`,
  )
}

/** A stream by its name; without one, the only one. Throws where that is not clear, and says which there are. */
export function streamOf(streams: ReadonlyMap<string, TestStream>, name?: string): TestStream {
  const found = name !== undefined ? streams.get(name) : streams.size === 1 ? [...streams.values()][0] : undefined
  if (found) return found
  const there = [...streams.keys()].map((one) => `'${one}'`).join(', ')
  throw new Error(
    name === undefined
      ? `say which stream: append(stream, messages), of ${there}`
      : `no stream '${name}'; there are ${there}`,
  )
}
