/**
 * Error codes of the Kafka protocol that whoever looks after a group's offsets meets, and what they mean for it.
 * https://kafka.apache.org/protocol#protocol_error_codes
 *
 * - `again`   the group's coordinator moves or starts: ask who it is, and try there
 * - `active`  the group has members, and only they may commit
 * - `gone`    the topic or partition is not known
 * - `denied`  no right to do it
 * - `refused` it won't ever do
 */
export type GroupMeaning = 'done' | 'again' | 'active' | 'gone' | 'denied' | 'refused'

/** Nothing at all may be done with the group. */
export const groupDenied = 30
/** For what an answer should have told and does not. */
export const unknownServerError = -1

const known: Record<number, readonly [name: string, meaning: GroupMeaning]> = {
  [unknownServerError]: ['UNKNOWN_SERVER_ERROR', 'refused'],
  0: ['NONE', 'done'],
  3: ['UNKNOWN_TOPIC_OR_PARTITION', 'gone'],
  7: ['REQUEST_TIMED_OUT', 'again'],
  12: ['OFFSET_METADATA_TOO_LARGE', 'refused'],
  14: ['COORDINATOR_LOAD_IN_PROGRESS', 'again'],
  15: ['COORDINATOR_NOT_AVAILABLE', 'again'],
  16: ['NOT_COORDINATOR', 'again'],
  22: ['ILLEGAL_GENERATION', 'active'],
  24: ['INVALID_GROUP_ID', 'refused'],
  25: ['UNKNOWN_MEMBER_ID', 'active'],
  27: ['REBALANCE_IN_PROGRESS', 'active'],
  28: ['INVALID_COMMIT_OFFSET_SIZE', 'refused'],
  29: ['TOPIC_AUTHORIZATION_FAILED', 'denied'],
  [groupDenied]: ['GROUP_AUTHORIZATION_FAILED', 'denied'],
  110: ['FENCED_MEMBER_EPOCH', 'active'],
  113: ['STALE_MEMBER_EPOCH', 'active'],
}

export function groupMeaningOf(code: number): GroupMeaning {
  return known[code]?.[1] ?? 'refused'
}

export function groupCodeName(code: number): string {
  return known[code]?.[0] ?? `error ${code}`
}
