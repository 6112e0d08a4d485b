import { TidemarkError } from '../model/errors.js'
import { positionChanged } from '../model/fenced.js'
import { describePartition, type PartitionKey } from '../model/partition.js'

/** Discarding a queue's first letter would leave others behind it, and nobody would handle them. */
export function strandedLetters(letters: number, queues: number, first: PartitionKey, offset: string): TidemarkError {
  const place = `${describePartition(first)} of group ${first.group}, offset ${offset}`
  return new TidemarkError(
    'CONFIG_INVALID',
    `${letters} ${letters === 1 ? 'letter' : 'letters'} of ${queues} ${queues === 1 ? 'key' : 'keys'} came behind what is to be discarded ` +
      `and ${letters === 1 ? 'was' : 'were'} never tried, the first at ${place}: say what becomes of them, 'redrive' or 'discard' (followers)`,
    { place: { ...first, offset } },
  )
}

/** A letter without content has no value to replace. */
export function onlyReference(id: string, key: PartitionKey, offset: string): TidemarkError {
  return new TidemarkError(
    'CONFIG_INVALID',
    `letter ${id} (${describePartition(key)} of group ${key.group}, offset ${offset}) has no content here that could be corrected: it is read from the log again`,
    { place: { ...key, offset } },
  )
}

/** A person, or a newer owner, was faster. */
export function letterChanged(key: PartitionKey, ids: readonly string[]): TidemarkError {
  const named =
    ids.length === 1 ? `letter ${ids[0]} was` : `one of ${ids.length} letters (${ids[0]} to ${ids.at(-1)}) was`
  return positionChanged(key, `has changed letters: ${named} changed or ended by somebody else; nothing was written`)
}
