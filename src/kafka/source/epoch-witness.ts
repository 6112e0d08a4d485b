import { noEpoch } from '../client/topic-metadata.js'

/** A leader epoch as the text that is kept with a position; undefined where the epoch is not known. */
export function witnessOf(epoch: number): string | undefined {
  return epoch === noEpoch ? undefined : `e${epoch}`
}

/** The epoch in such a text; -1 where there is none. */
export function epochIn(witness: string | null | undefined): number {
  const [, digits] = /^e(\d{1,10})$/.exec(witness ?? '') ?? []
  return digits === undefined ? noEpoch : Number(digits)
}
