import { codeName, type ReaderMeaning, readerMeaningOf } from './error-codes.js'

/** What an error code means for a reader. */
export function meaningOf(code: number): ReaderMeaning {
  return readerMeaningOf(code)
}

export function nameOf(code: number): string {
  return codeName(code)
}
