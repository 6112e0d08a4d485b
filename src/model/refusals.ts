import { TidemarkError } from './errors.js'
import { describePartition, type PartitionKey } from './partition.js'

/* Positions and partitions that the log does not have: the same words wherever that is noticed. */

type Place = Pick<PartitionKey, 'stream' | 'partition'>

/** What a partition has: its first offset, and the one that its next message gets. */
interface Held {
  readonly first: bigint
  readonly head: bigint
}

/** Somebody asks for an offset that the log does not have. */
export function offsetOutOfRange({ stream, partition }: Place, offset: bigint, held: Held): TidemarkError {
  const place = { stream, partition }
  return new TidemarkError(
    'OUT_OF_RANGE',
    `offset ${offset} is out of range: ${describePartition(place)} ${what(held)}`,
    {
      place: { ...place, offset: String(offset) },
    },
  )
}

/** The log no longer has, or does not have yet, the position that a group has come to. */
export function positionOutOfRange(key: PartitionKey, position: bigint, held: Held): TidemarkError {
  const why =
    position < held.first
      ? 'retention has deleted messages that were not handled yet'
      : 'the log is shorter than what was handled: it was created again, or has lost messages'
  return lost(key, position, `position ${position} is out of range: the log ${what(held)}; ${why}`)
}

/**
 * The stream that a group's position belongs to is gone, and one of the same name is there.
 *
 * @param kind what such a stream is called where it lives: `topic`
 */
export function positionOfEarlierStream(
  key: PartitionKey,
  position: bigint,
  kind: 'stream' | 'topic' = 'stream',
): TidemarkError {
  const text = `position ${position} belongs to a ${kind} that was deleted; another one of the same name has been created since`
  return lost(key, position, text)
}

/** Somebody names a partition that there is not. */
export function noSuchPartition({ stream, partition }: Place, there: string): TidemarkError {
  return new TidemarkError('UNKNOWN_CONSUMER', `${stream} has no partition ${partition}; it has ${there}`, {
    place: { stream, partition },
  })
}

function what({ first, head }: Held): string {
  if (head <= first) return `is empty, and its next offset is ${head}`
  return `holds offsets ${first} to ${head - 1n}, and the next one is ${head}`
}

function lost(key: PartitionKey, position: bigint, why: string): TidemarkError {
  const { group, stream, partition } = key
  const toDo = `Choose where to resume: tidemark reset --group ${group} --stream ${stream} --partition ${partition} --to first`
  return new TidemarkError('OUT_OF_RANGE', `${describePartition(key)}, group ${group}: ${why}. ${toDo}`, {
    place: { group, stream, partition, offset: String(position) },
  })
}
