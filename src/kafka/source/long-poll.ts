import type { TidemarkError } from '../../model/errors.js'
import type { BrokerLink } from '../client/broker-link.js'
import { readerMeaningOf } from '../client/error-codes.js'
import { codeError } from '../client/failures.js'
import type { KafkaSettings } from '../client/options.js'
import { readFetchResponse } from './fetch.js'

/** A position at which somebody waits for messages. */
interface Place {
  readonly partition: number
  readonly position: bigint
}

/**
 * What a long poll has brought for one of those who wait in it. An error is for its partition alone.
 *
 * - `found`   there is something, or reading there tells what is wrong
 * - `nothing` the partition still ends at the position
 * - `unclear` the offsets have to be looked up
 */
export type PollOutcome = 'found' | 'nothing' | 'unclear' | TidemarkError

/** A Fetch for all who wait, which the broker holds open until one of their partitions has something, or for `maxWaitMs`. */
export async function longPoll<P extends Place>(
  link: BrokerLink,
  places: readonly P[],
  maxWaitMs: number,
  settings: KafkaSettings,
): Promise<Map<P, PollOutcome>> {
  // Two that wait for one partition ask for the lower position; the other one looks again.
  const lowest = new Map<number, bigint>()
  for (const { partition, position } of places)
    if (!(lowest.get(partition)! <= position)) lowest.set(partition, position)
  const request = {
    maxWaitMs,
    // The answer is only looked at: one batch of one partition is the least a broker sends.
    maxBytes: 1,
    rackId: '',
    partitions: [...lowest].map(([partition, from]) => ({ partition, from, maxBytes: 1 })),
  }
  const { partitions } = readFetchResponse(await link.fetch(settings.topic, request))
  const answers = new Map(partitions.map((answer) => [answer.partition, answer]))

  const outcomeOf = ({ partition, position }: Place): PollOutcome => {
    const answer = answers.get(partition)
    const code = answer?.errorCode ?? 0
    const ready = (answer?.records.length ?? 0) > 0 || readerMeaningOf(code) === 'range'
    // The answer brings the records of one partition, but says of each how far it can be read.
    const end =
      answer && code === 0 ? (settings.readUncommitted ? answer.highWatermark : answer.lastStableOffset) : null
    if ((ready && position === lowest.get(partition)) || (end !== null && end > position)) return 'found'
    if (code !== 0 && !ready) return codeError(code, settings, partition)
    return end === position ? 'nothing' : 'unclear'
  }
  return new Map(places.map((place) => [place, outcomeOf(place)]))
}
