import { TidemarkError } from '../model/errors.js'
import type { PartitionKey } from '../model/partition.js'

/*
 * Offsets as `kafka-consumer-groups --reset-offsets --export` writes them and `--from-file` reads them: a line for each partition, without
 * a header. `topic,partition,offset` for one group, `group,topic,partition,offset` for several. The offset is that of the next message.
 */

export interface FileOffset extends Omit<PartitionKey, 'group'> {
  /** Null where the file names none. */
  readonly group: string | null
  readonly offset: bigint
}

/** Lines of the file. The group is left out where all offsets are of one. */
export function formatOffsets(offsets: readonly (PartitionKey & { readonly offset: bigint })[]): string {
  const several = new Set(offsets.map(({ group }) => group)).size > 1
  return offsets
    .map(({ group, stream, partition, offset }) => [...(several ? [group] : []), stream, partition, offset])
    .map((fields) => `${fields.map((field) => quoted(String(field))).join(',')}\n`)
    .join('')
}

/**
 * Reads such a file.
 *
 * @param file its name, for errors
 * @throws TidemarkError CONFIG_INVALID, naming the line
 */
export function parseOffsets(text: string, file: string): FileOffset[] {
  const offsets = new Map<string, FileOffset>()
  for (const [index, line] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.trim() === '') continue
    const refuse = (why: string) => new TidemarkError('CONFIG_INVALID', `line ${index + 1} of ${file}: ${why}`)
    const fields = fieldsOf(line)
    if (fields === null || fields.length < 3 || fields.length > 4)
      throw refuse('write topic,partition,offset or group,topic,partition,offset')
    const [offset, partition, stream, group = null] = fields.reverse() as [string, string, string, string?]
    const [first] = offsets.values()
    if (first && (first.group === null) !== (group === null))
      throw refuse('it names a group, or the lines before it do')
    if (!/^\d{1,9}$/.test(partition)) throw refuse(`'${partition}' is no partition`)
    if (!/^\d{1,19}$/.test(offset)) throw refuse(`'${offset}' is no offset`)
    const row = { group, stream, partition: Number(partition), offset: BigInt(offset) }
    const name = JSON.stringify([group, stream, row.partition])
    if (offsets.has(name)) throw refuse(`partition ${partition} of ${stream} is there twice`)
    offsets.set(name, row)
  }
  if (offsets.size === 0) throw new TidemarkError('CONFIG_INVALID', `${file} has no offsets`)
  return [...offsets.values()]
}

function quoted(field: string): string {
  return /[",\r\n]|^\s|\s$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field
}

/** Null for a line that breaks off within quotes, or goes on behind them. */
function fieldsOf(line: string): string[] | null {
  const fields: string[] = []
  const field = /(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/gy
  while (field.lastIndex < line.length || fields.length === 0) {
    const match = field.exec(line)
    if (!match) return null
    fields.push(match[1] === undefined ? match[2]!.trim() : match[1].replaceAll('""', '"'))
  }
  return fields
}
