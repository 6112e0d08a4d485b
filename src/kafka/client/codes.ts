/**
 * Error codes of the Kafka protocol that a reader meets, and what they mean for it. https://kafka.apache.org/protocol#protocol_error_codes
 *
 * - `moved`  ask for the leader again, and try there
 * - `gone`   the topic or partition is not known; after a while that is final
 * - `range`  the position is not in the log
 * - `denied` no right to read
 */
export type Meaning = 'moved' | 'gone' | 'range' | 'denied'

const known: Record<number, readonly [name: string, meaning: Meaning]> = {
  1: ['OFFSET_OUT_OF_RANGE', 'range'],
  3: ['UNKNOWN_TOPIC_OR_PARTITION', 'gone'],
  5: ['LEADER_NOT_AVAILABLE', 'moved'],
  6: ['NOT_LEADER_OR_FOLLOWER', 'moved'],
  7: ['REQUEST_TIMED_OUT', 'moved'],
  9: ['REPLICA_NOT_AVAILABLE', 'moved'],
  17: ['INVALID_TOPIC_EXCEPTION', 'gone'],
  29: ['TOPIC_AUTHORIZATION_FAILED', 'denied'],
  56: ['KAFKA_STORAGE_ERROR', 'moved'],
  74: ['FENCED_LEADER_EPOCH', 'moved'],
  75: ['UNKNOWN_LEADER_EPOCH', 'moved'],
  78: ['OFFSET_NOT_AVAILABLE', 'moved'],
}

/** Any other code is a broker in trouble: asking again is right. */
export function meaningOf(code: number): Meaning {
  return known[code]?.[1] ?? 'moved'
}

export function nameOf(code: number): string {
  return known[code]?.[0] ?? `error ${code}`
}
