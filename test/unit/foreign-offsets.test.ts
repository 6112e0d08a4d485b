import { beforeEach, describe, expect, it } from 'vitest'
import type { CommittedOffset } from '../../src/kafka/client/groups.js'
import { ForeignOffsets } from '../../src/kafka/store/foreign-offsets.js'
import { writeNote } from '../../src/kafka/store/offset-note.js'
import { foreignIn } from '../../src/rabbitmq/store/offset-record.js'
import { mayOverwrite } from '../../src/storing/foreign.js'
import { foreignText } from '../../src/worker/foreign-text.js'

describe('a mirror', () => {
  it.each([
    ['nothing is there', null, { position: 0n }, true],
    ['the position is the same', 90n, { position: 90n }, true],
    ['the group begins before it', 90n, { position: 0n }, false],
    ['the group begins beyond it', 90n, { position: 100n }, false],
    ['the group has handled a part of the way', 90n, { position: 89n, handled: true }, false],
    ['the group has handled past it', 90n, { position: 91n, handled: true }, true],
  ])('where %s', (_, theirs, offset, may) => expect(mayOverwrite(theirs, offset)).toBe(may))
})

describe("other consumers' offsets in Kafka", () => {
  const ours = writeNote({ epoch: 1, replay: 0 })
  const at = (partition: number, position: bigint, metadata = ''): CommittedOffset => ({
    topic: 'orders',
    partition,
    position,
    metadata,
  })
  let committed: readonly CommittedOffset[]
  let asked: number
  let now: number
  let failure: Error | null
  let offsets: ForeignOffsets

  beforeEach(() => {
    committed = []
    asked = 0
    now = 0
    failure = null
    offsets = new ForeignOffsets(
      async () => {
        asked++
        if (failure) throw failure
        return committed
      },
      () => now,
    )
  })
  const inTheWay = (partition: number, position: bigint, handled = true) =>
    offsets.inTheWayOf({ group: 'g', stream: 'orders', partition, position, epoch: 1, replay: 0, handled })

  it('are asked for once, however many partitions are shown however often', async () => {
    committed = [at(0, 7n, ours)]
    const many = Array.from({ length: 20 }, (_, partition) => inTheWay(partition, 1n))
    expect(new Set(await Promise.all(many))).toEqual(new Set([null]))
    expect(await inTheWay(0, 2n)).toBeNull()
    expect(asked).toBe(1)
  })

  it('stay in the way without a request, and are looked at again after a minute', async () => {
    committed = [at(0, 90n)]
    expect(await inTheWay(0, 1n)).toBe(90n)
    expect(await inTheWay(0, 2n)).toBe(90n)
    expect(await inTheWay(1, 2n)).toBeNull()
    expect(asked).toBe(1)
    committed = [at(0, 90n, ours)]
    now += 60_000
    expect(await inTheWay(0, 3n)).toBeNull()
    expect(asked).toBe(2)
  })

  it('are read again before one is overwritten: it may have moved on', async () => {
    committed = [at(0, 90n)]
    expect(await inTheWay(0, 1n)).toBe(90n)
    committed = [at(0, 200n)]
    expect(await inTheWay(0, 91n)).toBe(200n)
    committed = [at(0, 200n)]
    expect(await inTheWay(0, 201n)).toBeNull()
    await offsets.overwritten({ group: 'g', stream: 'orders', partition: 0, position: 201n, epoch: 1, replay: 0 })
    expect(await inTheWay(0, 1n, false)).toBeNull()
    expect(asked).toBe(3)
  })

  it('are asked for again after a failure, and after others were seen to run', async () => {
    failure = new Error('gone')
    await expect(inTheWay(0, 1n)).rejects.toThrow('gone')
    failure = null
    expect(await inTheWay(0, 1n)).toBeNull()
    committed = [at(0, 150n)]
    expect(await inTheWay(0, 100n)).toBeNull()
    offsets.forget('g')
    expect(await inTheWay(0, 101n)).toBe(150n)
  })
})

describe("another client's offset in a RabbitMQ stream's tracking", () => {
  const record = (position: bigint) => ({ position, epoch: 1, replay: 0, at: 0 })
  it.each([
    ['none where nothing is shown', { shown: null, record: null }, null],
    ['none where the broker has dropped what was shown', { shown: null, record: record(9n) }, null],
    ['what is shown where Tidemark has never been', { shown: 89n, record: null }, 90n],
    ['none where Tidemark has written what is shown', { shown: 8n, record: record(9n) }, null],
    ['none where Tidemark has gone back to the beginning', { shown: 0n, record: record(0n) }, null],
    ['what is shown where it is not what Tidemark has written', { shown: 89n, record: record(9n) }, 90n],
  ])('is %s', (_, found, position) => expect(foreignIn(found)).toBe(position))
})

describe('the warning about offsets of another consumer', () => {
  it('names a few partitions', () => {
    const many = Array.from({ length: 8 }, (_, partition) => ({ partition, position: 90n }))
    expect(foreignText({ group: 'g', stream: 's' }, many)).toContain('partition 4 at 90 and 3 more. ')
  })
})
