import { describe, expect, it } from 'vitest'
import { LogCheck } from '../../src/kafka/source/log-check.js'
import { type LeaderLog, truncationOf } from '../../src/kafka/source/truncation.js'

/** A leader's log: which epoch wrote from which offset on, up to its end. `gone` are offsets that compaction has removed. */
interface Log {
  readonly epochs: readonly (readonly [epoch: number, from: bigint])[]
  readonly end: bigint
  readonly gone?: (offset: bigint) => boolean
}

/** Answers as a broker does (LeaderEpochFileCache), and counts what it was asked. */
class FakeLeader implements LeaderLog {
  leaderEpoch: number | null
  atFollower = false
  asked = 0

  constructor(public log: Log) {
    this.leaderEpoch = log.epochs.at(-1)![0]
  }

  async findLeader() {
    return this.leaderEpoch!
  }
  async endOf(epoch: number) {
    this.asked++
    const { epochs, end } = this.log
    if (epochs.at(-1)![0] === epoch) return { epoch, offset: end }
    const higher = epochs.find(([other]) => other > epoch)
    if (!higher) return { epoch: -1, offset: -1n }
    const floor = epochs.findLast(([other]) => other <= epoch)
    return { epoch: floor?.[0] ?? epoch, offset: higher[1] }
  }
  async epochAt(offset: bigint) {
    const { epochs, gone = () => false } = this.log
    return gone(offset) ? null : (epochs.findLast(([, from]) => from <= offset)?.[0] ?? null)
  }
}

describe("a new leader's log", () => {
  const judge = (position: bigint, epoch: number, log: Log) => truncationOf({ position, epoch }, new FakeLeader(log))

  it.each<[string, bigint, number, Log]>([
    [
      'goes on behind what was read',
      100n,
      5,
      {
        epochs: [
          [5, 0n],
          [6, 100n],
        ],
        end: 120n,
      },
    ],
    [
      'had more of the epoch than was read',
      100n,
      5,
      {
        epochs: [
          [5, 0n],
          [6, 110n],
        ],
        end: 120n,
      },
    ],
    [
      'has nothing of its own yet',
      100n,
      5,
      {
        epochs: [
          [5, 0n],
          [6, 100n],
        ],
        end: 100n,
      },
    ],
    ['has lost its first messages to retention, with all of the epoch', 100n, 5, { epochs: [[7, 100n]], end: 120n }],
    [
      'was copied when compaction had removed all of the epoch',
      50n,
      2,
      {
        epochs: [
          [1, 0n],
          [3, 60n],
        ],
        end: 90n,
        gone: (offset) => offset >= 40n && offset < 60n,
      },
    ],
  ])('that %s is the one that was read', async (_, position, epoch, log) => {
    expect(await judge(position, epoch, log)).toBeNull()
  })

  it.each<[string, bigint | null, bigint, number, Log]>([
    [
      'lacks the end of the epoch',
      60n,
      100n,
      5,
      {
        epochs: [
          [5, 0n],
          [6, 60n],
        ],
        end: 200n,
      },
    ],
    [
      'lacks the epoch',
      60n,
      100n,
      5,
      {
        epochs: [
          [4, 0n],
          [6, 60n],
        ],
        end: 200n,
      },
    ],
    [
      'is shorter',
      60n,
      100n,
      5,
      {
        epochs: [
          [4, 0n],
          [6, 60n],
        ],
        end: 60n,
      },
    ],
    [
      'is of a leader from before, elected again',
      null,
      50n,
      2,
      {
        epochs: [
          [1, 0n],
          [3, 100n],
        ],
        end: 120n,
      },
    ],
    ['knows only older epochs', null, 50n, 7, { epochs: [[0, 0n]], end: 120n }],
  ])('that %s was cut at %s', async (_, at, position, epoch, log) => {
    expect(await judge(position, epoch, log)).toEqual({ at })
  })

  it('that can not be asked is not doubted', async () => {
    const old = { endOf: async () => null, epochAt: async () => null }
    expect(await truncationOf({ position: 100n, epoch: 5 }, old)).toBeNull()
  })
})

describe('a check of the log', () => {
  const five: Log = {
    epochs: [
      [3, 0n],
      [5, 40n],
    ],
    end: 100n,
  }

  function checking(log: Log = five) {
    const leader = new FakeLeader(log)
    const check = new LogCheck(leader)
    return { leader, check }
  }

  it('asks once about what an earlier leader wrote, and nothing while the leader stays', async () => {
    const { leader, check } = checking()
    expect(await check.before({ position: 20n, epoch: 3 })).toBeNull()
    expect(leader.asked).toBe(1)
    for (const position of [30n, 40n, 50n]) {
      void check.after({ position, epoch: 3 }, 3)
      expect(check.before({ position, epoch: position > 40n ? 5 : 3 })).toBeNull()
    }
    expect(leader.asked).toBe(1)
  })

  it('asks nothing about what the leader itself wrote, or before anything was read', async () => {
    const { leader, check } = checking()
    expect(check.before({ position: 90n, epoch: 5 })).toBeNull()
    expect(check.before({ position: 20n, epoch: -1 })).toBeNull()
    void check.after({ position: 20n, epoch: -1 }, 3)
    expect(check.before({ position: 30n, epoch: 3 })).toBeNull()
    expect(leader.asked).toBe(0)
  })

  it('asks again when the leader changes, also to itself', async () => {
    const { leader, check } = checking()
    await check.before({ position: 90n, epoch: 5 })
    void check.after({ position: 90n, epoch: 5 }, 5)
    leader.log = {
      epochs: [
        [3, 0n],
        [5, 40n],
        [6, 95n],
      ],
      end: 200n,
    }
    leader.leaderEpoch = 6
    expect(await check.before({ position: 100n, epoch: 5 })).toEqual({ at: 95n })
  })

  it('is not satisfied by asking: what was cut stays cut', async () => {
    const { check } = checking({
      epochs: [
        [5, 0n],
        [6, 60n],
      ],
      end: 200n,
    })
    for (let tries = 0; tries < 3; tries++)
      expect(await check.before({ position: 100n, epoch: 5 })).toEqual({ at: 60n })
  })

  it('refuses a leader that is older than what was read', async () => {
    const { leader, check } = checking()
    await expect(check.before({ position: 100n, epoch: 6 })).rejects.toMatchObject({ code: 'UNREACHABLE' })
    expect(leader.asked).toBe(0)
  })

  it('leaves brokers alone that do not know epochs', async () => {
    const { leader, check } = checking()
    leader.leaderEpoch = -1
    expect(check.before({ position: 100n, epoch: 6 })).toBeNull()
  })

  it('asks the leader when a follower goes on with another epoch than it was read from it', async () => {
    const { leader, check } = checking({
      epochs: [
        [3, 0n],
        [5, 40n],
      ],
      end: 200n,
    })
    leader.atFollower = true
    await check.before({ position: 20n, epoch: 3 })
    // The follower sent offsets 20 to 60 as of epoch 3, cut them off, and has the leader's from 60 on.
    expect(check.after({ position: 20n, epoch: 3 }, 3)).toBeNull()
    expect(check.before({ position: 60n, epoch: 3 })).toBeNull()
    expect(await check.after({ position: 60n, epoch: 3 }, 5)).toEqual({ at: 40n })
    // Back at the leader, it is not forgotten.
    leader.atFollower = false
    expect(await check.before({ position: 60n, epoch: 3 })).toEqual({ at: 40n })
  })
})
