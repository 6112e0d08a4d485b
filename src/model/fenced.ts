import { isTidemarkError, TidemarkError } from './errors.js'
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

/** What a writer learns whose partition has another position now, and no newer owner. */
export function positionChanged(key: PartitionKey, why: string): TidemarkError {
  return new TidemarkError('POSITION_CHANGED', `${describePartition(key)} of group ${key.group} ${why}`, { place: key })
}

/** The partition has to be opened again. */
export function saysReopen(error: unknown): error is TidemarkError {
  return isTidemarkError(error) && error.effect === 'reopen'
}

/** Its writer has the partition no more: another owner has, or the position is another one. */
export function saysGone(error: unknown): error is TidemarkError {
  return isTidemarkError(error) && (error.effect === 'lost' || error.effect === 'reopen')
}
