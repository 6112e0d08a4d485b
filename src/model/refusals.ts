import { TidemarkError, UnknownName } from './errors.js'
import { describePartition, type PartitionKey } from './partition.js'

/* What stops those who read a log: positions and partitions that it does not have, data that can't be read. The same words everywhere. */

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

/** The log has lost messages that a group had handled, and may hold others in their place: as after an unclean election of a leader. */
export class TruncatedLog extends TidemarkError {
  /** What happened to the log, for the history of positions. */
  readonly why: string

  /** @param at up to where the log is the one that was handled; null where nobody can tell */
  constructor(
    key: PartitionKey,
    position: bigint,
    readonly at: bigint | null,
  ) {
    const where = at === null ? 'somewhere' : `at offset ${at},`
    const why = `the log was cut ${where} before position ${position}: messages that were handled are lost, and others may have taken their offsets`
    const { code, message, place } = lost(key, position, why, at ?? 'first')
    super(code, message, { place })
    this.why = why
  }
}

/** Somebody names a partition that there is not. */
export function noSuchPartition({ stream, partition }: Place, there: string): TidemarkError {
  return new UnknownName(`${stream} has no partition ${partition}; it has ${there}`, { stream, partition })
}

/** What stands in the log at an offset, and can't be read. */
interface Damage {
  /** `the record batch` */
  readonly what: string
  readonly why: string
  /** Where the log can be read again; left out where it is not known, after asking for the data a second time. */
  readonly next?: bigint
}

/** The log's own data is damaged, or has a form that Tidemark does not know. */
export function corruptData(key: PartitionKey, offset: bigint, { what, why, next }: Damage): TidemarkError {
  const toDo =
    next === undefined
      ? "Fetching it again brought the same: check the broker's disk and network"
      : `To resume behind it: ${reset(key, next)}`
  const text = `${describePartition(key)}, group ${key.group}: ${what} at offset ${offset} can't be read: ${why}. ${toDo}`
  return new TidemarkError('CORRUPT_DATA', text, { place: { ...key, offset: String(offset) } })
}

/** Says which group can't go on reading where, if `failure` does not: what a client says speaks of its server. */
export function readingStopped(key: PartitionKey, offset: bigint, failure: TidemarkError): TidemarkError {
  if (failure.place.group !== undefined) return failure
  const text = `${describePartition(key)}, group ${key.group}: ${failure.message}`
  return new TidemarkError(failure.code, text, { place: { ...key, offset: String(offset) }, cause: failure })
}

function what({ first, head }: Held): string {
  if (head <= first) return `is empty, and its next offset is ${head}`
  return `holds offsets ${first} to ${head - 1n}, and the next one is ${head}`
}

function lost(key: PartitionKey, position: bigint, why: string, to: bigint | 'first' = 'first'): TidemarkError {
  const { group, stream, partition } = key
  const text = `${describePartition(key)}, group ${group}: ${why}. Choose where to resume: ${reset(key, to)}`
  return new TidemarkError('OUT_OF_RANGE', text, { place: { group, stream, partition, offset: String(position) } })
}

function reset({ group, stream, partition }: PartitionKey, to: bigint | 'first'): string {
  return `tidemark reset --group ${group} --stream ${stream} --partition ${partition} --to ${to}`
}

/** The handler did something to its transaction, or returned something, and trying again does not mend it. */
export function handlerMistaken(key: PartitionKey, from: bigint, what: string): TidemarkError {
  return new TidemarkError(
    'HANDLER_MISTAKEN',
    `the handler of group ${key.group} was stopped at ${describePartition(key)} offset ${from}: ${what}`,
    { place: { ...key, offset: String(from) } },
  )
}
