import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HeldPartitions } from '../../../src/monitoring/held-partitions.js'
import type { Chunk, Message } from '../../../src/ports/index.js'
import { rawOf } from '../../support/raw-of.js'
import { virtualTime } from '../../support/virtual-time.js'

beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass } = virtualTime

const second = 1_000
const retry = { initialIntervalMs: 20 * second, maximumIntervalMs: 60 * second, backoff: 2 }
const batch = (partition: number, from = '0', replay = 0) => ({
  partition,
  from,
  epoch: 1,
  batch: 1,
  replay,
  identity: null,
})

/** A chunk whose messages were written so long ago, ms. */
function chunk(from: number, ages: readonly number[], head: number, change: Partial<Chunk> = {}): Chunk {
  return {
    from: BigInt(from),
    next: BigInt(from + ages.length),
    messages: ages.map((age) => ({ timestamp: Date.now() - age }) as Message),
    bytes: 100,
    head: BigInt(head),
    raw: rawOf,
    release: () => {},
    ...change,
  }
}

function working(...partitions: readonly number[]) {
  const held = new HeldPartitions(retry)
  held.began(partitions.map((partition) => batch(partition)))
  return held
}
const shown = (held: HeldPartitions) => held.views().map(({ partition }) => partition)

describe('the lag of a partition', () => {
  it('is unknown until something was read', () => {
    expect(working(3).views()).toEqual([{ partition: 3, condition: 'healthy', position: 0n, head: null, lagMs: null }])
  })

  it('is the age of the first message in the handler, and grows', async () => {
    const held = working(3)
    held.took(3, chunk(0, [9_000, 5_000], 10))
    await pass(2 * second)
    expect(held.views()[0]).toMatchObject({ position: 0n, head: 10n, lagMs: 11_000 })
  })

  it('is at most that of the message before, as long as the next one is not read', () => {
    const held = working(3)
    held.handled(3, chunk(0, [9_000, 5_000], 10))
    expect(held.views()[0]).toMatchObject({ position: 2n, head: 10n, lagMs: 5_000 })
  })

  it('is 0 at the head, however old the last message is', () => {
    const held = working(3)
    held.handled(3, chunk(0, [9_000, 5_000], 2))
    expect(held.views()[0]).toMatchObject({ position: 2n, head: 2n, lagMs: 0 })
  })

  it('is unknown when the log has more than was read, at a position that was the head', () => {
    const held = working(3)
    held.handled(3, chunk(0, [9_000, 5_000], 2))
    held.sawHead(3, 4n)
    expect(held.views()[0]).toMatchObject({ head: 4n, lagMs: null })
  })

  it('is that of a message that can not be decoded', async () => {
    const held = working(3)
    const poison = { error: new Error() as never, raw: null, next: 1n, timestamp: Date.now() - 4_000 }
    const before = chunk(0, [], 10, { poison })
    held.took(3, before)
    held.handled(3, before)
    held.blocked(3, 0n)
    await pass(second)
    expect(held.views()[0]).toMatchObject({ condition: 'blocked', position: 0n, lagMs: 5_000 })
  })

  it('is unknown where messages have no time', () => {
    const held = working(3)
    const none = chunk(0, [], 10, { messages: [{ timestamp: -1 } as Message] })
    held.took(3, none)
    expect(held.views()[0]).toMatchObject({ head: 10n, lagMs: null })
  })
})

describe('a head', () => {
  it('that a fetch from before names does not replace a newer one', () => {
    const held = working(3)
    held.took(3, chunk(0, [1], 10))
    held.sawHead(3, 20n)
    held.handled(3, chunk(0, [1], 10))
    expect(held.views()[0]!.head).toBe(20n)
  })

  it('that nothing has confirmed for five minutes is unknown', async () => {
    const held = working(3)
    held.handled(3, chunk(0, [1], 1))
    await pass(301 * second)
    expect(held.views()[0]).toMatchObject({ head: null, lagMs: null })
  })

  it('is asked for where it is old, and not of a fenced partition', async () => {
    const held = working(3, 4, 5)
    held.handled(3, chunk(0, [1], 1))
    held.fenced(5)
    await pass(20 * second)
    held.handled(4, chunk(0, [1], 1))
    expect(held.headsOlderThan(15 * second)).toEqual([3])
  })
})

describe('a position', () => {
  it('does not fall back to the plan of a batch that is tried again', () => {
    const held = working(3)
    held.handled(3, chunk(0, [1, 1], 9))
    held.left(3, null)
    held.began([batch(3)])
    expect(held.views()[0]!.position).toBe(2n)
  })

  it('is set back with a reset', () => {
    const held = working(3)
    held.handled(3, chunk(0, [1, 1], 9))
    held.left(3, 'reopen')
    held.began([batch(3, '0', 1)])
    expect(held.views()[0]!.position).toBe(0n)
  })
})

describe('a partition is shown', () => {
  it('as long as a batch has it', async () => {
    const held = working(3)
    await pass(3_600 * second)
    expect(shown(held)).toEqual([3])
  })

  it('not once it was let go, or has finished', () => {
    const held = working(3, 4)
    held.left(3, 'released')
    held.left(4, 'finished')
    expect(shown(held)).toEqual([])
  })

  it.each(['more', 'rest', 'slow'] as const)('for 5 s after a batch that ended with `%s`', async (end) => {
    const held = working(3)
    held.left(3, end)
    await pass(4.9 * second)
    expect(shown(held)).toEqual([3])
    await pass(0.2 * second)
    expect(shown(held)).toEqual([])
  })

  it('while its next batch is here', async () => {
    const held = working(3)
    held.left(3, 'more')
    held.began([batch(3)])
    await pass(60 * second)
    expect(shown(held)).toEqual([3])
  })

  it('as retrying until a next try must have begun somewhere', async () => {
    const held = working(3)
    held.failed(3, { offset: 5n, attempt: 1 })
    held.left(3, null)
    await pass(24 * second)
    expect(held.views()).toMatchObject([{ partition: 3, condition: 'retrying', position: 5n }])
    await pass(2 * second)
    expect(shown(held)).toEqual([])
  })

  it('as healthy again once it has handled something', () => {
    const held = working(3)
    held.failed(3, { offset: 0n, attempt: 1 })
    held.handled(3, chunk(0, [1], 1))
    expect(held.views()[0]!.condition).toBe('healthy')
  })

  it('as fenced without the numbers of its former owner', () => {
    const held = working(3)
    held.handled(3, chunk(0, [1], 9))
    held.fenced(3)
    held.left(3, 'fenced')
    expect(held.views()).toEqual([{ partition: 3, condition: 'fenced', position: null, head: null, lagMs: null }])
  })

  it('as blocked until it is dropped, or a batch has it again', async () => {
    const held = working(3, 4)
    for (const partition of [3, 4]) {
      held.blocked(partition, 7n)
      held.left(partition, 'blocked')
    }
    await pass(3_600 * second)
    expect([...held.stoppedFor(15 * second).keys()]).toEqual([3, 4])
    held.drop(3)
    held.began([batch(4, '7')])
    held.drop(4)
    expect(held.views()).toMatchObject([{ partition: 4, condition: 'healthy', position: 7n }])
  })
})

describe('the group poll', () => {
  const rest = { count: 1, partitions: { 3: ['9', null], 4: ['8', null] } } as const
  const stopped = [{ partition: 5, condition: 'blocked', reason: '', since: '' }] as const

  it('shows what rests, caught up, and what is stopped', () => {
    const held = new HeldPartitions(retry)
    held.watched(0, { rest, stopped })
    expect(held.views().sort((a, b) => a.partition - b.partition)).toEqual([
      { partition: 3, condition: 'healthy', position: 9n, head: 9n, lagMs: 0 },
      { partition: 4, condition: 'healthy', position: 8n, head: 8n, lagMs: 0 },
      { partition: 5, condition: 'blocked', position: null, head: null, lagMs: null },
    ])
  })

  it('shows nothing of a slice that it watches no more', () => {
    const held = new HeldPartitions(retry)
    held.watched(0, { rest, stopped })
    held.watched(0, null)
    expect(shown(held)).toEqual([])
  })

  it('knows less of a partition than the worker whose batch has it', () => {
    const held = working(3)
    held.took(3, chunk(9, [1_000], 12))
    held.watched(0, { rest })
    expect(held.views().find(({ partition }) => partition === 3)).toMatchObject({ head: 12n, lagMs: 1_000 })
  })
})
