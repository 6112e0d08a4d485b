import { type ErrorPlace, TidemarkError, UserFailure } from '../model/errors.js'
import { describePartition } from '../model/partition.js'
import { isUndecodable } from '../model/undecodable.js'
import { NoUtf8 } from '../ports/text.js'
import { NoJson } from './json-text.js'
import type { ValueCodec, ValueInfo } from './value.js'

/* What is said of values that can't be decoded. */

type Named = Pick<ValueCodec<unknown>, 'name'>

/**
 * Names a value that its codec can't read. JSON.parse's own text quotes the value, and goes no further; that of a user's decoder is the
 * user's.
 *
 * @param thrown by the codec
 */
export function undecodable(codec: Named, raw: Buffer | string, info: ValueInfo, thrown: unknown): TidemarkError {
  const { offset, group } = info
  const reason = ownReason(thrown)
  const what = `${describePartition(info)} offset ${offset}: the value (${Buffer.byteLength(raw)} bytes) can't be decoded as ${codec.name}`
  const toDo = `Unless afterLastTry says otherwise, group ${group} stops in front of it, and nothing is skipped: correct the source's 'value' option and start again, or repair the data and resume`
  const place = placeOf(info)
  return reason === null
    ? new UserFailure('UNDECODABLE', { what, toDo, thrown, place })
    : new TidemarkError('UNDECODABLE', `${what}${reason}. ${toDo}`, { place })
}

/** Of what Tidemark's own code has thrown. */
function ownReason(thrown: unknown): string | null {
  if (thrown instanceof NoJson) return ': it is no JSON'
  if (thrown instanceof NoUtf8) return ': it is no UTF-8'
  return null
}

/** Whether a rejection says that no retry can help. Those of Tidemark's own codecs, called by an asynchronous decoder, say so. */
export function isFinal(thrown: unknown): boolean {
  return isUndecodable(thrown) || thrown instanceof NoJson || thrown instanceof NoUtf8
}

/** An asynchronous decoder's failure that may be over at the next try: its registry is away, for instance. */
export function decoderFailed(codec: Named, info: ValueInfo, thrown: unknown): TidemarkError {
  return new UserFailure('DECODER_FAILED', {
    what: `the decoder (${codec.name}) failed at ${describePartition(info)} offset ${info.offset}, group ${info.group}`,
    toDo: 'The value is decoded again, and nothing is skipped',
    thrown,
    place: placeOf(info),
  })
}

/** @param ms that it had */
export function decoderSilent(codec: Named, info: ValueInfo, ms: number): TidemarkError {
  const where = `${describePartition(info)} offset ${info.offset}, group ${info.group}`
  return new TidemarkError(
    'DECODER_FAILED',
    `the decoder (${codec.name}) has not answered for ${ms / 1_000} s at ${where}. The value is decoded again, and nothing is skipped; ` +
      "the source's option 'decodeTimeout' sets how long it may take",
    { place: placeOf(info) },
  )
}

function placeOf({ group, stream, partition, offset }: ValueInfo): ErrorPlace {
  return { group, stream, partition, offset: String(offset) }
}
