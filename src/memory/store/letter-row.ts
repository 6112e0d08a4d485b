import type { FullLetter, Letter, LetterCount, LetterFilter, RawMessage } from '../../ports/index.js'
import { textOf } from '../../ports/text.js'

/** A letter with what only the store knows of it. Never changed, only replaced. */
export interface LetterRow extends Omit<FullLetter, 'messageKey'> {
  /** Grows with each change. */
  readonly version: number
  readonly perSecond: number | null
  readonly doneAt: Date | null
}

export function isOpen({ doneAt }: LetterRow): boolean {
  return doneAt === null
}

/** By group, stream, partition and offset. */
export function inOrder(a: LetterRow, b: LetterRow): number {
  return (
    order(a.key.group, b.key.group) ||
    order(a.key.stream, b.key.stream) ||
    a.key.partition - b.key.partition ||
    order(a.offset, b.offset) ||
    Number(a.id) - Number(b.id)
  )
}

function order<T extends string | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Whether a filter means a letter. */
export function matchesLetter(filter: LetterFilter): (row: LetterRow) => boolean {
  const { group, stream, partitions, ids, offsets, key, class: kind, code, olderThanMs, askedBy, states } = filter
  const before = olderThanMs === undefined ? undefined : Date.now() - olderThanMs
  return (row) =>
    (group === undefined || row.key.group === group) &&
    (stream === undefined || row.key.stream === stream) &&
    (partitions === undefined || partitions.includes(row.key.partition)) &&
    (ids === undefined || ids.includes(row.id)) &&
    (offsets === undefined || offsets.includes(row.offset)) &&
    (key === undefined || (row.message?.key ? textOf(row.message.key) === key : false)) &&
    (kind === undefined || row.class === kind) &&
    (code === undefined || row.code === code) &&
    (askedBy === undefined || row.by === askedBy) &&
    (before === undefined || row.at.getTime() <= before) &&
    (states === undefined ? isOpen(row) : states.includes(row.state))
}

/** Names a letter's queue among those of all partitions; null for a letter that keeps no order. */
export function queueName({ key: { group, stream, partition }, queue }: Pick<Letter, 'key' | 'queue'>): string | null {
  return queue === null ? null : JSON.stringify([group, stream, partition, queue])
}

export function countOf(rows: readonly LetterRow[]): LetterCount {
  const partitions = rows.map(({ key: { group, stream, partition } }) => JSON.stringify([group, stream, partition]))
  return {
    letters: rows.length,
    queues: new Set(rows.map(queueName).filter((name) => name !== null)).size,
    partitions: new Set(partitions).size,
    behind: rows.filter((row) => row.class === 'behind').length,
  }
}

/** What people get to see: the row without what only the store knows. */
export function letterOf(row: LetterRow): Letter {
  const { message: _, ...letter } = fullLetterOf(row)
  return letter
}

export function fullLetterOf({ version: _, perSecond: __, doneAt: ___, ...row }: LetterRow): FullLetter {
  return { ...row, messageKey: row.message?.key?.subarray(0, 1024) ?? null }
}

/** The log may use a message's bytes for others. */
export function copyOf({ key, value, headers, ...rest }: RawMessage): RawMessage {
  const copied = (bytes: Buffer | null) => bytes && Buffer.from(bytes)
  return { ...rest, key: copied(key), value: copied(value), headers: headers.map(([name, one]) => [name, copied(one)]) }
}
