import { beforeEach, expect, it } from 'vitest'
import { CatchUp } from '../../../activities/batch/catch-up.js'
import type { Message } from '../../../src/ports/index.js'

const owner = { partition: 3, epoch: 1, replay: 0 }
const message = {} as Message

let tail: CatchUp
beforeEach(() => {
  tail = new CatchUp()
})

/** A chunk that leaves so many positions up to the head. */
function handled(
  left: number,
  { messages = [message], ...change }: Partial<typeof owner> & { messages?: Message[] } = {},
) {
  return tail.handled({ ...owner, ...change }, { messages, next: 100n, head: 100n + BigInt(left) })
}

it('says once that a partition has reached the head', () => {
  expect([handled(20), handled(10), handled(0), handled(0)]).toEqual([false, false, true, false])
})

it('says so of a partition whose first chunk is its whole backlog', () => {
  expect([handled(0), handled(0)]).toEqual([true, false])
})

it('says so again after two chunks in a row that end before the head', () => {
  handled(0)
  expect([handled(20), handled(10), handled(0)]).toEqual([false, false, true])
})

it('does not count one chunk that ends before the head as falling behind', () => {
  handled(0)
  for (let turn = 0; turn < 3; turn++) expect([handled(1), handled(0)]).toEqual([false, false])
})

it('does not count a partition as behind before its first message', () => {
  expect([handled(0, { messages: [] }), handled(0)]).toEqual([false, true])
})

it('counts a gap behind the last message as reached', () => {
  expect([handled(1), handled(0, { messages: [] })]).toEqual([false, true])
})

it('begins anew with each ownership and each replay, partition by partition', () => {
  handled(0)
  expect([handled(0, { epoch: 2 }), handled(0, { epoch: 2, replay: 1 }), handled(0, { partition: 4 })]).toEqual([
    true,
    true,
    true,
  ])
})
