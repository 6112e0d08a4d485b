import { expect, test } from 'vitest'
import {
  codeName,
  groupMeaningOf,
  producerHintOf,
  producerMeaningOf,
  readerMeaningOf,
} from '../../src/kafka/client/error-codes.js'

const meanings = (code: number) => [readerMeaningOf(code), groupMeaningOf(code), producerMeaningOf(code)]

test.each([
  // A reader asks for the leader again after everything that it does not know.
  ['a partition without a leader', 5, ['moved', 'refused', 'again']],
  ['a topic that is not there', 3, ['gone', 'gone', 'again']],
  ['a position outside of the log', 1, ['range', 'refused', 'refused']],
  ['a topic without rights', 29, ['denied', 'denied', 'refused']],
  ['a coordinator that starts', 14, ['moved', 'again', 'again']],
  ['a group with members', 25, ['moved', 'active', 'refused']],
  ['a message that the log has already', 46, ['moved', 'refused', 'done']],
  ['a newer producer of the same id', 90, ['moved', 'refused', 'fenced']],
  ['a lost sequence', 45, ['moved', 'refused', 'broken']],
  ['a code of the future', 9_999, ['moved', 'refused', 'refused']],
])('%s (%i) means something to a reader, a group and a producer', (_, code, expected) => {
  expect(meanings(code)).toEqual(expected)
})

test('a code is named for people, also one that is not known', () => {
  expect([codeName(6), codeName(9_999)]).toEqual(['NOT_LEADER_OR_FOLLOWER', 'error code 9999'])
})

test('a producer is told what to do where its user can do something', () => {
  expect([producerHintOf(10), producerHintOf(6)]).toEqual([
    ": a message is larger than the topic's max.message.bytes",
    '',
  ])
})
