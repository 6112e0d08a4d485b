/**
 * Error codes that a producer meets, and what they mean for it. https://kafka.apache.org/protocol#protocol_error_codes
 *
 * - `again`   the same request will do, after a pause and perhaps at another broker
 * - `fenced`  a newer producer of the same transactional id is there
 * - `broken`  this producer's sequence is lost: a new one has to begin
 * - `refused` what was sent won't ever do
 */
export type Meaning = 'done' | 'again' | 'fenced' | 'broken' | 'refused'

const known: Record<number, readonly [name: string, meaning: Meaning, hint?: string]> = {
  0: ['NONE', 'done'],
  3: ['UNKNOWN_TOPIC_OR_PARTITION', 'again'],
  5: ['LEADER_NOT_AVAILABLE', 'again'],
  6: ['NOT_LEADER_OR_FOLLOWER', 'again'],
  7: ['REQUEST_TIMED_OUT', 'again'],
  10: ['MESSAGE_TOO_LARGE', 'refused', "a message is larger than the topic's max.message.bytes"],
  13: ['NETWORK_EXCEPTION', 'again'],
  14: ['COORDINATOR_LOAD_IN_PROGRESS', 'again'],
  15: ['COORDINATOR_NOT_AVAILABLE', 'again'],
  16: ['NOT_COORDINATOR', 'again'],
  19: ['NOT_ENOUGH_REPLICAS', 'again'],
  20: ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'again'],
  29: ['TOPIC_AUTHORIZATION_FAILED', 'refused', 'the login has no right to write there'],
  30: ['GROUP_AUTHORIZATION_FAILED', 'refused', 'the login has no right to read the progress group'],
  45: ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'broken'],
  // A repetition of what is in the log already.
  46: ['DUPLICATE_SEQUENCE_NUMBER', 'done'],
  47: ['INVALID_PRODUCER_EPOCH', 'fenced'],
  48: ['INVALID_TXN_STATE', 'broken'],
  49: ['INVALID_PRODUCER_ID_MAPPING', 'broken'],
  50: [
    'INVALID_TRANSACTION_TIMEOUT',
    'refused',
    "transactionTimeout is more than the broker's transaction.max.timeout.ms",
  ],
  51: ['CONCURRENT_TRANSACTIONS', 'again'],
  53: ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'refused', 'the login has no right to use this transactional id'],
  56: ['KAFKA_STORAGE_ERROR', 'again'],
  59: ['UNKNOWN_PRODUCER_ID', 'broken'],
  74: ['FENCED_LEADER_EPOCH', 'again'],
  87: ['INVALID_RECORD', 'refused', 'a compacted topic takes no message without a key'],
  88: ['UNSTABLE_OFFSET_COMMIT', 'again'],
  90: ['PRODUCER_FENCED', 'fenced'],
}

export function meaningOf(code: number): Meaning {
  return known[code]?.[1] ?? 'refused'
}

export function nameOf(code: number): string {
  return known[code]?.[0] ?? `error code ${code}`
}

export function hintOf(code: number): string {
  const hint = known[code]?.[2]
  return hint ? `: ${hint}` : ''
}
