import { codeName } from '../client/error-codes.js'
import type { OpenAsk } from './ask.js'
import { type FetchedPartition, readFetchResponse } from './fetch.js'

/** Bytes of one answer, whatever its partitions may have in sum. A larger batch comes whole anyway. */
const jointBytes = 4 * 1024 * 1024

/** A Fetch for the partitions of several readers. */
export interface JointFetch {
  readonly asks: readonly OpenAsk[]
  readonly maxWaitMs: number
}

export function requestOf({ asks, maxWaitMs }: JointFetch, rackId: string) {
  const partitions = asks.map(({ ask: { expects: _, ...wanted } }) => wanted)
  const sum = partitions.reduce((bytes, { maxBytes }) => bytes + maxBytes, 0)
  const maxBytes = partitions.length === 1 ? sum : Math.min(sum, jointBytes)
  return { maxWaitMs, maxBytes, rackId, partitions }
}

/**
 * Each ask's answer: null where the broker only throttles, an error where the partition is missing.
 *
 * @throws RangeError when the answer is cut off, and Error when the broker refuses the request as a whole
 */
export function answersOf(raw: Buffer, { asks }: JointFetch) {
  const { partitions, errorCode, throttleMs } = readFetchResponse(raw)
  if (errorCode !== 0) throw new Error(`the broker answered ${codeName(errorCode)}`)
  // A reader may keep its records for long; as a view, they would keep those of all its neighbours.
  const joint = partitions.filter(({ records }) => records.length > 0).length > 1
  const byPartition = new Map(partitions.map((one) => [one.partition, one]))
  const answers = asks.map((open): readonly [OpenAsk, FetchedPartition | Error | null] => {
    const answer = byPartition.get(open.ask.partition)
    if (answer) return [open, joint ? { ...answer, records: copyOf(answer.records) } : answer]
    return [open, throttleMs > 0 ? null : new Error('the broker answered without the partition')]
  })
  return { answers, throttleMs }
}

/** Memory of its own, as `Buffer.from` gives it, but not filled with zeros first. */
function copyOf(records: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(records.length)
  records.copy(copy)
  return copy
}

/**
 * Those that fit into `count` requests for what is there already, as evenly as it goes. A partition is in a request once;
 * what was missed is alone in it, since brokers send only a request's first batch whole. KIP-74.
 */
export function split(asks: readonly OpenAsk[], count: number): OpenAsk[][] {
  const groups: OpenAsk[][] = []
  const most = Math.ceil(asks.length / count)
  for (const open of asks) {
    const group = groups.find((group) => group.length < most && fits(open, group))
    if (group) group.push(open)
    else if (groups.length < count) groups.push([open])
  }
  return groups
}

/** The first of every partition. */
export function firsts(asks: readonly OpenAsk[]): OpenAsk[] {
  const partitions = new Map<number, OpenAsk>()
  for (const open of asks) if (!partitions.has(open.ask.partition)) partitions.set(open.ask.partition, open)
  return [...partitions.values()]
}

function fits({ ask }: OpenAsk, group: readonly OpenAsk[]): boolean {
  if (ask.expects === 'missed') return false
  let bytes = ask.maxBytes
  for (const { ask: other } of group) {
    if (other.expects === 'missed' || other.partition === ask.partition) return false
    bytes += other.maxBytes
  }
  return bytes <= jointBytes
}
