import type { OffsetStoreClient } from '../../ports/index.js'
import type { TestFramework } from './framework.js'
import type { StoreHarness } from './store-harness.js'

/** What people do to a store: put positions somewhere else, look at everything, and use it as a mirror of another one. */
export function storeResetSuite(framework: TestFramework, kind: string, open: () => Promise<StoreHarness>): void {
  const { describe, it, expect, beforeEach, afterEach } = framework
  describe(`${kind} offset store, by hand`, () => {
    const key = { group: 'payments', stream: 'orders', partition: 3 }
    const change = { kind: 'reset' as const, to: 5n, by: 'ann@desk', why: 'wrong prices' }
    let harness: StoreHarness
    let store: OffsetStoreClient

    beforeEach(async () => {
      harness = await open()
      store = await harness.connect()
      await store.migrate()
    })
    afterEach(async () => {
      await store.close()
      await harness.close()
    })

    it('a reset goes anywhere, as a new replay', async () => {
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      await store.commit(key, { epoch, position: 100n })
      const back = await store.reset(key, change)
      expect(back).toMatchObject({ ...key, position: 5n, replay: 1 })
      expect(back.epoch).toBeGreaterThan(epoch)
      expect(await store.read(key.group, key.stream)).toEqual([back])
      expect(await store.reset(key, { ...change, to: 1_000n })).toMatchObject({ position: 1_000n, replay: 2 })
    })

    it('no commit of the owner before it undoes a reset', async () => {
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      await store.commit(key, { epoch, position: 100n })
      const { epoch: later } = await store.reset(key, change)
      expect(await store.commit(key, { epoch, position: 110n })).toEqual({
        outcome: 'stale',
        epoch: later,
        position: 5n,
        replay: 1,
      })
      const owner = await store.open(key, { above: epoch, start: 0n })
      expect(owner).toMatchObject({ position: 5n, replay: 1 })
      expect(owner.epoch).toBeGreaterThan(later)
    })

    it('a reset creates what is not stored yet, and so begins a replay', async () => {
      expect(await store.reset(key, change)).toMatchObject({ position: 5n, replay: 1 })
      expect(await store.history({ limit: 1 })).toMatchObject([{ ...key, from: null, to: 5n }])
    })

    it('a reset by a caller who has read something older changes nothing', async () => {
      const seen = await store.open(key, { above: 0, start: 0n })
      const owner = await store.open(key, { above: seen.epoch, start: 0n })
      await store.commit(key, { epoch: owner.epoch, position: 100n })
      expect(await store.resetIf(key, seen, change)).toBeNull()
      expect(await store.resetIf({ ...key, partition: 4 }, seen, change)).toBeNull()
      expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 100n, epoch: owner.epoch, replay: 0 }])
      expect(await store.history({ limit: 1 })).toEqual([])
      expect(await store.resetIf(key, owner, change)).toMatchObject({ position: 5n, replay: 1 })
      expect(await store.resetIf(key, { ...owner, replay: 1 }, change)).toBeNull()
    })

    it('a reset begins a replay above one that the store does not know', async () => {
      expect(await store.reset(key, { ...change, replayAbove: 3 })).toMatchObject({ position: 5n, replay: 4 })
      expect(await store.reset(key, { ...change, replayAbove: 3 })).toMatchObject({ replay: 5 })
      expect(await store.reset(key, { ...change, replayAbove: 9 })).toMatchObject({ replay: 10 })
    })

    it('of 32 resets and 32 commits at once every reset counts', async () => {
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      await Promise.all(
        Array.from({ length: 32 }, (_, n) => [
          store.reset(key, { ...change, to: BigInt(n) }),
          store.commit(key, { epoch, position: 1_000n + BigInt(n) }),
        ]).flat(),
      )
      const [row] = await store.read(key.group, key.stream)
      expect(row!.replay).toBe(32)
      const changes = await store.history({ limit: 100 })
      expect(changes).toHaveLength(32)
      expect(changes[0]!.to).toBe(row!.position)
      // Each begins where the one before it ended, except the first, which may come behind commits.
      for (const [n, one] of changes.slice(0, -1).entries()) expect(one.from).toBe(changes[n + 1]!.to)
    })

    it('tells who did what, the newest first', async () => {
      await store.open(key, { above: 0, start: 7n })
      await store.reset(key, change)
      await store.reset({ ...key, partition: 4 }, { ...change, kind: 'skipped', by: 'policy', why: 'retention' })
      await store.reset({ ...key, group: 'other' }, change)
      const changes = await store.history({ group: 'payments', stream: 'orders', limit: 10 })
      expect(changes).toEqual([
        {
          ...key,
          partition: 4,
          kind: 'skipped',
          from: null,
          to: 5n,
          by: 'policy',
          why: 'retention',
          at: expect.any(Date),
        },
        { ...key, kind: 'reset', from: 7n, to: 5n, by: 'ann@desk', why: 'wrong prices', at: expect.any(Date) },
      ])
      expect(await store.history({ limit: 1 })).toMatchObject([{ group: 'other' }])
      expect(await store.history({ partition: 3, limit: 10 })).toHaveLength(2)
      expect(await store.history({ group: 'nobody', limit: 10 })).toEqual([])
    })

    it('forgets a group on a stream and no other, and keeps the history', async () => {
      // RabbitMQ has no request for it.
      if (!store.delete) return expect(kind).toBe('RabbitMQ')
      const others = [
        { ...key, group: 'other' },
        { ...key, stream: 'bills' },
      ]
      for (const one of [key, { ...key, partition: 4 }, ...others]) await store.reset(one, change)
      await store.delete(key.group, key.stream)
      expect(await store.read(key.group, key.stream)).toEqual([])
      for (const { group, stream } of others) expect(await store.read(group, stream)).toHaveLength(1)
      expect(await store.history({ group: key.group, stream: key.stream, limit: 10 })).toHaveLength(2)
      await store.delete(key.group, key.stream)
    })

    it('lists all groups of a stream, and all streams of a group', async () => {
      for (const [group, stream, partition] of [
        ['b', 'orders', 1],
        ['a', 'orders', 2],
        ['a', 'orders', 0],
        ['a', 'bills', 0],
      ] as const)
        await store.open({ group, stream, partition }, { above: 0, start: 0n })
      const names = async (filter: object) =>
        (await store.list(filter)).map(({ group, stream, partition }) => `${group}/${stream}/${partition}`)
      expect(await names({})).toEqual(['a/bills/0', 'a/orders/0', 'a/orders/2', 'b/orders/1'])
      expect(await names({ stream: 'orders' })).toEqual(['a/orders/0', 'a/orders/2', 'b/orders/1'])
      expect(await names({ group: 'a' })).toEqual(['a/bills/0', 'a/orders/0', 'a/orders/2'])
      expect(await names({ group: 'a', stream: 'bills', partition: 1 })).toEqual([])
    })

    it('remembers which incarnation of the stream a position belongs to', async () => {
      expect(await store.open(key, { above: 0, start: 0n, identity: 'one' })).toMatchObject({ identity: 'one' })
      expect(await store.open(key, { above: 0, start: 0n, identity: 'two' })).toMatchObject({ identity: 'one' })
      expect(await store.reset(key, change)).toMatchObject({ identity: 'one' })
      expect(await store.reset(key, { ...change, identity: 'two' })).toMatchObject({ identity: 'two' })
    })

    it('as a mirror it shows what it is told, and nothing older after something newer', async () => {
      await store.assert({ ...key, position: 10n, epoch: 3, replay: 1 })
      await store.assert({ ...key, position: 10n, epoch: 3, replay: 1 })
      expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 10n, epoch: 3, replay: 1 }])
      await store.assert({ ...key, position: 4n, epoch: 4, replay: 2 })
      await store.assert({ ...key, position: 20n, epoch: 3, replay: 1 })
      expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 4n, epoch: 4, replay: 2 }])
    })
  })
}
