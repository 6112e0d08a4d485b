import type { ParsedConsumer } from '../../config/parse.js'
import { answerWithin, placeOf } from '../deadline.js'
import { patience } from '../open-parts.js'
import type { Session } from '../session.js'

/** Messages that are set aside, and their keys, by partition. Those that have none are missing. */
export type LettersByPartition = ReadonlyMap<number, { readonly messages: number; readonly keys: number }>

export async function lettersByPartition(
  session: Session,
  consumer: ParsedConsumer,
  partitions: readonly number[],
): Promise<LettersByPartition> {
  const { group, stream } = consumer.settings
  const { letters } = await session.progressDatabase(consumer)
  const place = placeOf(session.progressPlace(consumer))
  const found = await answerWithin(
    place,
    Promise.all(
      partitions.map(async (partition) => {
        const { letters: messages, queues } = await letters.parked({ group, stream, partition })
        return [partition, { messages, keys: queues.length }] as const
      }),
    ),
    patience,
  )
  return new Map(found.filter(([, { messages }]) => messages > 0))
}
