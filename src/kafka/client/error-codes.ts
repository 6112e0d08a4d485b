/* Error codes of the Kafka protocol, and what they mean for us. https://kafka.apache.org/protocol#protocol_error_codes */

/**
 * For readers. A code without a meaning here is a broker in trouble, where asking again is right: `moved`.
 *
 * - `moved`  ask for the leader again, and try there
 * - `gone`   the topic or partition is not known; after a while that is final
 * - `range`  the position is not in the log
 * - `denied` no right to read
 */
export type ReaderMeaning = 'moved' | 'gone' | 'range' | 'denied'

/**
 * For those who look after a group's offsets. A code without a meaning here is `refused`.
 *
 * - `again`   the group's coordinator moves or starts: ask who it is, and try there
 * - `active`  the group has members, and only they may commit
 * - `gone`    the topic or partition is not known
 * - `denied`  no right to do it
 * - `refused` trying again does not help
 */
export type GroupMeaning = 'done' | 'again' | 'active' | 'gone' | 'denied' | 'refused'

/**
 * For producers. A code without a meaning here is `refused`.
 *
 * - `again`   the same request will do, after a pause and perhaps at another broker
 * - `fenced`  a newer producer of the same transactional id is there
 * - `broken`  this producer's sequence is lost: a new one has to begin
 * - `refused` trying again does not help
 */
export type ProducerMeaning = 'done' | 'again' | 'fenced' | 'broken' | 'refused'

interface Meanings {
  readonly reader?: ReaderMeaning
  readonly group?: GroupMeaning
  readonly producer?: ProducerMeaning
  /** What a producer's user should know about it. */
  readonly hint?: string
}

/** For what an answer should have told and does not. */
export const unknownServerError = -1
/** Nothing at all may be done with the group. */
export const groupDenied = 30

/** It has neither members nor offsets. */
export const noSuchGroup = 69

const table: Readonly<Record<number, readonly [name: string, meanings: Meanings]>> = {
  [unknownServerError]: ['UNKNOWN_SERVER_ERROR', {}],
  0: ['NONE', { group: 'done', producer: 'done' }],
  1: ['OFFSET_OUT_OF_RANGE', { reader: 'range' }],
  3: ['UNKNOWN_TOPIC_OR_PARTITION', { reader: 'gone', group: 'gone', producer: 'again' }],
  5: ['LEADER_NOT_AVAILABLE', { producer: 'again' }],
  6: ['NOT_LEADER_OR_FOLLOWER', { producer: 'again' }],
  7: ['REQUEST_TIMED_OUT', { group: 'again', producer: 'again' }],
  9: ['REPLICA_NOT_AVAILABLE', {}],
  10: ['MESSAGE_TOO_LARGE', { hint: "a message is larger than the topic's max.message.bytes" }],
  12: ['OFFSET_METADATA_TOO_LARGE', {}],
  13: ['NETWORK_EXCEPTION', { producer: 'again' }],
  14: ['COORDINATOR_LOAD_IN_PROGRESS', { group: 'again', producer: 'again' }],
  15: ['COORDINATOR_NOT_AVAILABLE', { group: 'again', producer: 'again' }],
  16: ['NOT_COORDINATOR', { group: 'again', producer: 'again' }],
  17: ['INVALID_TOPIC_EXCEPTION', { reader: 'gone' }],
  19: ['NOT_ENOUGH_REPLICAS', { producer: 'again' }],
  20: ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', { producer: 'again' }],
  22: ['ILLEGAL_GENERATION', { group: 'active' }],
  24: ['INVALID_GROUP_ID', {}],
  25: ['UNKNOWN_MEMBER_ID', { group: 'active' }],
  27: ['REBALANCE_IN_PROGRESS', { group: 'active' }],
  28: ['INVALID_COMMIT_OFFSET_SIZE', {}],
  29: [
    'TOPIC_AUTHORIZATION_FAILED',
    { reader: 'denied', group: 'denied', hint: 'the login has no right to write there' },
  ],
  [groupDenied]: [
    'GROUP_AUTHORIZATION_FAILED',
    { group: 'denied', hint: 'the login has no right to read the progress group' },
  ],
  45: ['OUT_OF_ORDER_SEQUENCE_NUMBER', { producer: 'broken' }],
  // A repetition of what is in the log already.
  46: ['DUPLICATE_SEQUENCE_NUMBER', { producer: 'done' }],
  47: ['INVALID_PRODUCER_EPOCH', { producer: 'fenced' }],
  48: ['INVALID_TXN_STATE', { producer: 'broken' }],
  49: ['INVALID_PRODUCER_ID_MAPPING', { producer: 'broken' }],
  50: [
    'INVALID_TRANSACTION_TIMEOUT',
    { hint: "transactionTimeout is more than the broker's transaction.max.timeout.ms" },
  ],
  51: ['CONCURRENT_TRANSACTIONS', { producer: 'again' }],
  53: ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', { hint: 'the login has no right to use this transactional id' }],
  56: ['KAFKA_STORAGE_ERROR', { producer: 'again' }],
  59: ['UNKNOWN_PRODUCER_ID', { producer: 'broken' }],
  68: ['NON_EMPTY_GROUP', { group: 'active' }],
  [noSuchGroup]: ['GROUP_ID_NOT_FOUND', {}],
  74: ['FENCED_LEADER_EPOCH', { producer: 'again' }],
  75: ['UNKNOWN_LEADER_EPOCH', {}],
  78: ['OFFSET_NOT_AVAILABLE', {}],
  86: ['GROUP_SUBSCRIBED_TO_TOPIC', { group: 'active' }],
  87: ['INVALID_RECORD', { hint: 'a compacted topic takes no message without a key' }],
  88: ['UNSTABLE_OFFSET_COMMIT', { producer: 'again' }],
  90: ['PRODUCER_FENCED', { producer: 'fenced' }],
  110: ['FENCED_MEMBER_EPOCH', { group: 'active' }],
  113: ['STALE_MEMBER_EPOCH', { group: 'active' }],
}

export function codeName(code: number): string {
  return table[code]?.[0] ?? `error code ${code}`
}

export function readerMeaningOf(code: number): ReaderMeaning {
  return table[code]?.[1].reader ?? 'moved'
}

export function groupMeaningOf(code: number): GroupMeaning {
  return table[code]?.[1].group ?? 'refused'
}

export function producerMeaningOf(code: number): ProducerMeaning {
  return table[code]?.[1].producer ?? 'refused'
}

/** The end of a sentence that names the code: `: what people should know`, or nothing. */
export function producerHintOf(code: number): string {
  const hint = table[code]?.[1].hint
  return hint ? `: ${hint}` : ''
}
