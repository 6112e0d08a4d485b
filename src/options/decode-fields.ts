import { count, serverTime } from './fields.js'

/** What sources ask about asynchronous decoders. */
export const decodeFields = {
  decodeConcurrency: count(16, 10_000),
  decodeTimeout: serverTime('30s', 10, 100),
}
