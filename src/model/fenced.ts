import { TidemarkError } from './errors.js'
import { describePartition, type PartitionKey } from './partition.js'
import { describeToken, type FencingToken } from './token.js'

/** What a writer learns that is not the newest owner of its partition any more. */
export function fenced(key: PartitionKey, token: FencingToken): TidemarkError {
  return new TidemarkError(
    'FENCED',
    `${describePartition(key)} of group ${key.group} has a newer owner than ${describeToken(token)}; this one lets go, and wrote nothing`,
    { place: key },
  )
}
