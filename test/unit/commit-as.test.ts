import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { commitAs } from '../../activities/committing/commit-as.js'
import { TidemarkError } from '../../src/model/errors.js'
import type { CommitOutcome, Progress } from '../../src/ports/index.js'
import { virtualTime } from '../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)

const key = { group: 'billing', stream: 'orders', partition: 0 }
const owner = { key, epoch: 3, replay: 0 }
const committed: CommitOutcome = { outcome: 'committed' }
const stale = (change: object): CommitOutcome => ({ outcome: 'stale', epoch: 3, position: 5n, replay: 0, ...change })

/** Commits position 9 where the store answers so, and progress belongs to an owner of this epoch. */
function commit(answers: (CommitOutcome | Error)[], owned: number | null): Promise<void> {
  const store = {
    commit: async () => {
      const answer = answers.shift()!
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const token = { epoch: owned ?? 0, batch: 1, attempt: 1 }
  const claimed = { position: 9n, replay: 0, identity: null, witness: null, token }
  const progress = { read: async (): Promise<Progress | null> => (owned === null ? null : claimed) }
  return commitAs(
    { store, progress, story: { committed: () => {} } } as unknown as Parameters<typeof commitAs>[0],
    owner,
    9n,
  )
}

describe('a commit', () => {
  it('that its lost answer has made already is one', async () => {
    await commit([stale({ position: 9n })], 3)
  })

  it.each([
    { what: 'the store was emptied', answer: stale({ epoch: 0, position: 0n }), says: 'emptied or set back' },
    { what: 'the store was set back', answer: stale({ epoch: 2 }), says: 'emptied or set back' },
    { what: 'a person has reset it', answer: stale({ epoch: 4, replay: 1 }), says: 'was reset' },
    { what: 'somebody has opened it, and works nothing', answer: stale({ epoch: 4 }), says: 'opened by nobody' },
  ])('opens the partition again where $what: that is no other owner', async ({ answer, says }) => {
    const wanted = { code: 'POSITION_CHANGED', message: expect.stringContaining(says) }
    await expect(commit([answer], 3)).rejects.toMatchObject(wanted)
    await expect(commit([answer], null)).rejects.toMatchObject(wanted)
  })

  it('is fenced off by an owner that has claimed with a greater token, and by nothing else', async () => {
    await expect(commit([stale({ epoch: 4 })], 4)).rejects.toMatchObject({ code: 'FENCED' })
  })

  it('is tried again where its topic is said to be missing: a broker that has just started may not know it yet', async () => {
    const missing = () => new TidemarkError('STREAM_NOT_FOUND', 'no such topic')
    const lasting = Array.from({ length: 5 }, missing)
    const outcomes = Promise.allSettled([commit([missing(), missing(), missing(), committed], 3), commit(lasting, 3)])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await outcomes).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'STREAM_NOT_FOUND' } },
    ])
    expect(lasting).toEqual([])
  })
})
