import type { OffsetStoreClient } from '../../ports/index.js'
import type { TestFramework } from './framework.js'
import type { StoreHarness } from './store-harness.js'
import { storeResetSuite } from './store-reset.js'

/**
 * The suites of an offset store: a position never goes back and only its owner moves it; people move positions, and look at everything. They
 * define their tests when this is called.
 *
 * @param framework `{ describe, it, expect, beforeAll, afterAll, beforeEach, afterEach }`
 * @param kind names the store in the tests' titles
 * @param options.lasting whether what is stored outlives a client. Default true
 */
export function verifyStore(
  framework: TestFramework,
  kind: string,
  open: () => Promise<StoreHarness>,
  options: { readonly lasting?: boolean } = {},
): void {
  storeSuite(framework, kind, open, options)
  storeResetSuite(framework, kind, open)
}

/** The suite that makes an OffsetStoreClient one: a position never goes back, and only its owner moves it. */
export function storeSuite(
  framework: TestFramework,
  kind: string,
  open: () => Promise<StoreHarness>,
  { lasting = true } = {},
): void {
  const { describe, it, expect, beforeEach, afterEach } = framework
  describe(`${kind} offset store`, () => {
    let harness: StoreHarness
    let store: OffsetStoreClient
    const clients: OffsetStoreClient[] = []
    const key = { group: 'payments', stream: 'orders', partition: 3 }

    beforeEach(async () => {
      harness = await open()
      store = await connect()
      await store.migrate()
    })
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()))
      await harness.close()
    })

    async function connect(): Promise<OffsetStoreClient> {
      const client = await harness.connect()
      clients.push(client)
      return client
    }

    const stored = async (client = store) =>
      (await client.read(key.group, key.stream)).map(({ partition, position, epoch }) => ({
        partition,
        position,
        epoch,
      }))

    it('knows nothing of a group that never was', async () => {
      expect(await store.read('nobody', 'orders')).toEqual([])
    })

    it('the first ownership begins at the start given', async () => {
      const opened = await store.open(key, { above: 0, start: 42n })
      expect(opened).toMatchObject({ ...key, position: 42n, replay: 0 })
      expect(opened.epoch).toBeGreaterThan(0)
      expect(await store.read(key.group, key.stream)).toEqual([opened])
    })

    it('a later ownership keeps the position and gets a greater epoch', async () => {
      const first = await store.open(key, { above: 0, start: 42n })
      await store.commit(key, { epoch: first.epoch, position: 50n })
      const second = await store.open(key, { above: 0, start: 7n })
      expect(second.position).toBe(50n)
      expect(second.epoch).toBeGreaterThan(first.epoch)
    })

    it('an epoch is greater than what the caller has seen', async () => {
      expect((await store.open(key, { above: 17, start: 0n })).epoch).toBeGreaterThan(17)
      expect((await store.open(key, { above: 1_000, start: 0n })).epoch).toBeGreaterThan(1_000)
      expect((await store.open(key, { above: 3, start: 0n })).epoch).toBeGreaterThan(1_001)
    })

    it('a commit moves the position, and repeating it is harmless', async () => {
      const { epoch, updatedAt } = await store.open(key, { above: 0, start: 0n })
      const commit = { epoch, position: 10n }
      expect(await store.commit(key, commit)).toEqual({ outcome: 'committed' })
      expect(await store.commit(key, commit)).toEqual({ outcome: 'committed' })
      expect(await stored()).toEqual([{ partition: 3, position: 10n, epoch }])
      const [row] = await store.read(key.group, key.stream)
      expect(row!.updatedAt!.getTime()).toBeGreaterThanOrEqual(updatedAt!.getTime())
    })

    it('a position never goes back', async () => {
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      await store.commit(key, { epoch, position: 10n })
      expect(await store.commit(key, { epoch, position: 9n })).toEqual({
        outcome: 'stale',
        epoch,
        position: 10n,
        replay: 0,
      })
      expect(await stored()).toEqual([{ partition: 3, position: 10n, epoch }])
    })

    it('an older owner changes nothing, and learns who has it', async () => {
      const old = await store.open(key, { above: 0, start: 0n })
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      expect(await store.commit(key, { epoch: old.epoch, position: 99n })).toEqual({
        outcome: 'stale',
        epoch,
        position: 0n,
        replay: 0,
      })
      expect(await stored()).toEqual([{ partition: 3, position: 0n, epoch }])
    })

    it('an epoch that was never opened owns nothing', async () => {
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      expect(await store.commit(key, { epoch: epoch + 1, position: 5n })).toMatchObject({ outcome: 'stale' })
      expect(await store.commit({ ...key, partition: 4 }, { epoch, position: 5n })).toMatchObject({ outcome: 'stale' })
      expect(await stored()).toEqual([{ partition: 3, position: 0n, epoch }])
    })

    it('keeps groups, streams and partitions apart, whatever their names', async () => {
      const keys = ["it's", 'a/b', 'a', '"q"', 'ü', 'A', '%'].flatMap((name) => [
        { group: name, stream: 'orders', partition: 0 },
        { group: 'a', stream: `${name}.s`, partition: 1 },
      ])
      for (const [index, one] of keys.entries()) await store.open(one, { above: index, start: BigInt(index) })
      for (const [index, one] of keys.entries()) {
        const rows = await store.read(one.group, one.stream)
        expect(rows.map(({ position, ...row }) => [row.group, row.stream, row.partition, position])).toEqual([
          [one.group, one.stream, one.partition, BigInt(index)],
        ])
      }
    })

    it('positions are exact beyond what a double holds', async () => {
      const large = 2n ** 62n + 1n
      const { epoch } = await store.open(key, { above: 0, start: large })
      expect(await store.commit(key, { epoch, position: large + 2n })).toEqual({ outcome: 'committed' })
      expect((await stored())[0]!.position).toBe(large + 2n)
    })

    it('of 32 owners at once each gets an epoch of its own, and the last one alone can commit', async () => {
      const owners = await Promise.all(Array.from({ length: 32 }, () => store.open(key, { above: 0, start: 0n })))
      const epochs = owners.map(({ epoch }) => epoch).sort((a, b) => a - b)
      expect(new Set(epochs).size).toBe(32)
      const outcomes = await Promise.all(
        epochs.map((epoch, n) => store.commit(key, { epoch, position: BigInt(n + 1) })),
      )
      expect(outcomes.map(({ outcome }) => outcome)).toEqual([...Array(31).fill('stale'), 'committed'])
      expect(await stored()).toEqual([{ partition: 3, position: 32n, epoch: epochs[31] }])
    })

    it('of 32 commits at once the furthest stays', async () => {
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      const positions = Array.from({ length: 32 }, (_, n) => BigInt(((n * 13) % 32) + 1))
      await Promise.all(positions.map((position) => store.commit(key, { epoch, position })))
      expect(await stored()).toEqual([{ partition: 3, position: 32n, epoch }])
    })

    it('another process finds everything where this one left it', async () => {
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      await store.commit(key, { epoch, position: 10n })
      await Promise.all(clients.splice(0).map((client) => client.close()))
      const later = await connect()
      await later.migrate()
      expect(await stored(later)).toEqual([{ partition: 3, position: 10n, epoch }])
    })

    if (lasting)
      it('refuses to work on what a newer Tidemark has changed', async () => {
        await harness.changeByNewerTidemark!()
        await expect((await connect()).migrate()).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW' })
      })
  })

  describe(`${kind} offset store, empty`, () => {
    it('8 processes that set it up at once all succeed', async () => {
      const harness = await open()
      const stores = await Promise.all(Array.from({ length: 8 }, () => harness.connect()))
      try {
        await Promise.all(stores.map((store) => store.migrate()))
        expect(await stores[0]!.read('nobody', 'orders')).toEqual([])
      } finally {
        await Promise.all(stores.map((store) => store.close()))
        await harness.close()
      }
    })
  })
}
