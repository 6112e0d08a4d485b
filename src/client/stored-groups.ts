import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import { messageOf } from '../model/errors.js'
import type { GroupName } from '../model/partition.js'
import { dateOf } from '../model/times.js'
import type { StoredOffset } from '../ports/index.js'
import { answerWithin, placeOf } from './deadline.js'
import type { Wanted } from './find.js'
import { distinct, matches, namesIn, requireMatch } from './group-names.js'
import { patience } from './open-parts.js'
import { isOfEarlierStream, type LogState, logState, sumOfLag } from './positions.js'
import type { Session } from './session.js'

/** A group on a stream as the store knows it, whether the config has it or not. */
export interface StoredGroup {
  readonly group: string
  readonly stream: string
  readonly partitions: number
  /** Null where the config has no source of that stream, or it does not answer. */
  readonly lag: bigint | null
  /** Null where that is unknown. */
  readonly lastCommit: Date | null
}

/**
 * The groups that a config's store knows.
 *
 * @returns besides, a note about each stream that could not be asked for its head
 * @throws TidemarkError UNKNOWN_CONSUMER for what neither the config nor the store knows
 */
export async function storedGroups(
  session: Session,
  wanted: Wanted,
): Promise<{ readonly groups: StoredGroup[]; readonly notes: string[] }> {
  const { config } = session
  const all = await (await session.store()).list({})
  if (wanted.group !== undefined || wanted.stream !== undefined)
    requireMatch(wanted, distinct([...all, ...namesIn(config)]))
  const rows = all.filter((row) => matches(wanted, row))
  const names = distinct(rows)
  const logs = new Map<ParsedConsumer, LogState>()
  const notes: string[] = []
  const sources = new Set(names.flatMap((name) => sourceFor(config, name) ?? []))
  await Promise.all(
    [...sources].map(async (consumer) => {
      try {
        const look = session.source(consumer).then((source) => logState(source))
        logs.set(consumer, await answerWithin(placeOf(consumer.source), look, patience))
      } catch (error) {
        notes.push(`the lag on ${consumer.settings.stream} is unknown: ${messageOf(error)}`)
      }
    }),
  )
  const groups = names.map(({ group, stream }) => {
    const theirs = rows.filter((row) => row.group === group && row.stream === stream)
    const log = logs.get(sourceFor(config, { group, stream })!)
    return {
      group,
      stream,
      partitions: theirs.length,
      lag: log ? sumOfLag(theirs.map((row) => ({ lag: lagOf(row, log) }))) : null,
      lastCommit: dateOf(Math.max(...theirs.map(({ updatedAt }) => updatedAt?.getTime() ?? 0))),
    }
  })
  return { groups, notes }
}

/** The group's own source; else another group's of the same stream, where there is only one kind of it. */
export function sourceFor({ consumers }: ParsedConfig, { group, stream }: GroupName): ParsedConsumer | undefined {
  const readers = consumers.filter(({ settings }) => settings.stream === stream)
  const own = readers.find(({ settings }) => settings.group === group)
  if (own) return own
  const places = new Set(readers.map(({ source }) => placeOf(source)))
  return places.size === 1 ? readers[0] : undefined
}

function lagOf(row: StoredOffset, log: LogState): bigint | null {
  const head = log.bounds.get(row.partition)?.head
  if (head === undefined || isOfEarlierStream(row, log)) return null
  return head > row.position ? head - row.position : 0n
}
