import { TidemarkError } from '../../model/errors.js'
import type { MirroredOffset } from '../../ports/index.js'
import type { Stored } from './tracking.js'

/*
 * What Tidemark keeps with a stream for a group. A reference holds one unsigned number of 64 bits, and the broker drops it when it is
 * lower than the stream's first offset. So a group has four of them:
 *
 *   <group>                     the last processed offset, position - 1, as every client of RabbitMQ means it: for people's tools
 *   tidemark.position.<group>   the position
 *   tidemark.owner.<group>      replay (23 bits) and epoch (40 bits)
 *   tidemark.time.<group>       when it was written, ms since 1970
 *
 * In Tidemark's own the highest bit is set. No offset is ever as great, so they are not dropped, and nobody else's number is taken
 * for one of them.
 */

const prefix = 'tidemark.'
const mark = 1n << 63n
const epochBits = 40n
const replayBits = 23n
/** The broker's own limit, bytes of UTF-8. */
const longestReference = 255

export type Recorded = Pick<MirroredOffset, 'position' | 'epoch' | 'replay'> & {
  /** Milliseconds since 1970. */
  readonly at: number
}

/** What is there for a group, all of it or a part. */
export interface FoundRecord {
  /** The last processed offset as tools see it; null where there is none. */
  readonly shown: bigint | null
  /** Null where Tidemark has never been. */
  readonly record: Recorded | null
}

/**
 * References of a group's numbers, in the order in which `recordOf` takes their values.
 *
 * @throws TidemarkError CONFIG_INVALID for a name that the broker has no room for
 */
export function referencesOf(group: string): readonly [string, string, string, string] {
  if (group.startsWith(prefix)) refuse(group, `names that begin with '${prefix}' are Tidemark's own there`)
  const references = ['position', 'owner', 'time'].map((field) => `${prefix}${field}.${group}`)
  const room = longestReference - Math.max(...references.map((name) => Buffer.byteLength(name))) + bytesOf(group)
  if (bytesOf(group) > room) refuse(group, `it has ${bytesOf(group)} bytes, and the tracking has room for ${room}`)
  if (group === '') refuse(group, 'it is empty')
  return [group, ...references] as [string, string, string, string]
}

/** Reads what was stored under the references of a group. */
export function recordOf([shown, position, owner, time]: readonly (bigint | null)[]): FoundRecord {
  const [at, who, when] = [position, owner, time].map(unmarked)
  return {
    shown: shown ?? null,
    // Whoever was interrupted has written the position first.
    record: at == null ? null : { position: at, ...ownerOf(who ?? 0n), at: Number(when ?? 0n) },
  }
}

/**
 * What to store for a position. The broker can't delete: where a group goes back to before its first message, tools are shown 0, as
 * RabbitMQ's own `reset_offset` does; nothing is shown of a group that has never had anything done.
 *
 * @throws TidemarkError CONFIG_INVALID for numbers that do not fit
 */
export function storedFor(group: string, { position, epoch, replay, at }: Recorded, shown: bigint | null): Stored[] {
  const [forTools, ...own] = referencesOf(group)
  if (position < 0n || position >= mark) throw tooGreat(group, `position ${position}`)
  const values = [position, ownerValue(group, epoch, replay), BigInt(at)].map((value) => value | mark)
  const showing = shownFor(position, shown)
  return [
    ...own.map((reference, index): Stored => [reference, values[index]!]),
    ...(showing === null ? [] : [[forTools, showing] as Stored]),
  ]
}

/** What tools are to see for a position, where they see `shown` now. */
export function shownFor(position: bigint, shown: bigint | null): bigint | null {
  if (position > 0n) return position - 1n
  return shown === null ? null : 0n
}

/** The position of a group by what tools see, of whichever client; null where there is none. */
export function positionOf({ shown, record }: FoundRecord): bigint | null {
  // The broker drops what it shows when retention passes it; and 0 is shown for position 0, too.
  if (record && (shown === null || shown === shownFor(record.position, shown))) return record.position
  return shown === null ? null : shown + 1n
}

/** What another client has stored for the group since Tidemark was there last, or before it came; null where nobody has. */
export function foreignIn({ shown, record }: FoundRecord): bigint | null {
  if (shown === null || (record && shown === shownFor(record.position, shown))) return null
  return shown + 1n
}

function ownerValue(group: string, epoch: number, replay: number): bigint {
  if (!fits(epoch, epochBits)) throw tooGreat(group, `epoch ${epoch}`)
  if (!fits(replay, replayBits)) throw tooGreat(group, `replay ${replay}`)
  return (BigInt(replay) << epochBits) | BigInt(epoch)
}

function ownerOf(value: bigint): { epoch: number; replay: number } {
  return { epoch: Number(value & ((1n << epochBits) - 1n)), replay: Number(value >> epochBits) }
}

function fits(count: number, bits: bigint): boolean {
  return Number.isSafeInteger(count) && count >= 0 && BigInt(count) < 1n << bits
}

/** Null for what is not Tidemark's. */
export function unmarked(value: bigint | null | undefined): bigint | null {
  return value == null || value < mark ? null : value & ~mark
}

export function marked(value: bigint): bigint {
  return value | mark
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text)
}

function refuse(group: string, why: string): never {
  const text = `group '${group}' can't be kept in a RabbitMQ stream's offset tracking: ${why}. Give the group another name, or keep its offsets elsewhere with groupOffsets: false`
  throw new TidemarkError('CONFIG_INVALID', text, { place: { group } })
}

function tooGreat(group: string, what: string): TidemarkError {
  const text = `group '${group}': ${what} is more than a RabbitMQ stream's offset tracking has room for`
  return new TidemarkError('CONFIG_INVALID', text, { place: { group } })
}
