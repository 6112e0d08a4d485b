import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DatabaseClient, GroupRecords } from '../../src/ports/index.js'

/** What a kind of database brings to be tested. */
export interface GroupsHarness {
  /** A client with connections of its own. */
  connect(): Promise<DatabaseClient>
  close(): Promise<void>
}

/** The suite for GroupRecords: what is recorded stays until a person changes it, and the history tells who did. */
export function groupsContract(kind: string, open: () => Promise<GroupsHarness>): void {
  describe(`${kind} group records`, () => {
    const name = { group: 'payments', stream: 'orders' }
    const ann = { by: 'ann@desk', why: 'bad deploy' }
    const bob = { by: 'bob@desk', why: 'prices are wrong' }
    const initial = { slices: 16, partitions: [0, 1, 2, 3] }
    let harness: GroupsHarness
    let groups: GroupRecords
    let database: DatabaseClient
    const clients: DatabaseClient[] = []

    beforeEach(async () => {
      harness = await open()
      database = await connect()
      groups = database.groups
    })
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()))
      await harness.close()
    })

    async function connect(): Promise<DatabaseClient> {
      const client = await harness.connect()
      clients.push(client)
      return client
    }
    /** Twenty calls at once, through clients of their own. */
    async function twenty<T>(call: (groups: GroupRecords, n: number) => Promise<T>): Promise<T[]> {
      const callers = await Promise.all(Array.from({ length: 4 }, connect))
      return Promise.all(Array.from({ length: 20 }, (_, n) => call(callers[n % 4]!.groups, n)))
    }
    const history = async (filter = {}) =>
      (await database.changes.list({ ...filter, limit: 100 })).map(
        ({ partition, kind, by, why }) => `${partition ?? 'all'} ${kind} ${by}: ${why}`,
      )

    describe('the record', () => {
      it('begins with one generation, not stopped and not paused', async () => {
        const record = await groups.ensure(name, { slices: 16, partitions: [3, 0, 1, 0] })
        expect(record).toEqual({
          ...name,
          slices: 16,
          generation: 1,
          partitions: [0, 1, 3],
          stopped: null,
          paused: { group: null, partitions: new Map() },
        })
        expect(await groups.read(name)).toEqual(record)
        expect(await history()).toEqual([])
      })

      it('wins over what a later caller expects', async () => {
        const first = await groups.ensure(name, initial)
        expect(await groups.ensure(name, { slices: 64, partitions: [0, 1, 2, 3, 4] })).toEqual(first)
        expect(await groups.read(name)).toEqual(first)
      })

      it('is created once by 20 callers, who all get the same', async () => {
        const records = await twenty((some, n) => some.ensure(name, { slices: n + 1, partitions: [n] }))
        const stored = await groups.read(name)
        for (const record of records) expect(record).toEqual(stored)
      })

      it('does not exist before it is created, and every call says so', async () => {
        expect(await groups.read(name)).toBeNull()
        const calls = [
          groups.addPartitions(name, [1]),
          groups.reslice(name, { from: 1, slices: 4, ...ann }),
          groups.stop(name, { how: 'cancelled', ...ann }),
          groups.resume(name, ann),
          groups.pause(name, ann),
          groups.unpause(name, ann),
        ]
        for (const failure of await Promise.all(calls.map((call) => call.catch((error: unknown) => error))))
          expect(failure).toMatchObject({ code: 'UNKNOWN_CONSUMER', place: name })
        expect(await groups.list({})).toEqual([])
        expect(await history()).toEqual([])
      })

      it("is each group's and stream's own, whatever their names", async () => {
        const names = ["it's", 'a/b', 'a', '"q"', 'ü', 'A', '%'].flatMap((one) => [
          { group: one, stream: 'orders' },
          { group: 'b', stream: `${one}.s` },
        ])
        for (const [index, one] of names.entries()) await groups.ensure(one, { slices: index + 1, partitions: [index] })
        for (const [index, one] of names.entries()) {
          await groups.stop(one, { how: 'cancelled', by: 'ann@desk', why: one.group })
          expect(await groups.read(one)).toMatchObject({ ...one, slices: index + 1, partitions: [index] })
          expect(await history(one)).toEqual([`all stopped ann@desk: cancelled: ${one.group}`])
        }
      })

      it('is listed by group and by stream', async () => {
        for (const [group, stream] of [
          ['b', 'orders'],
          ['a', 'orders'],
          ['a', 'bills'],
        ] as const)
          await groups.ensure({ group, stream }, initial)
        const names = async (filter: object) =>
          (await groups.list(filter)).map(({ group, stream }) => `${group}/${stream}`)
        expect(await names({})).toEqual(['a/bills', 'a/orders', 'b/orders'])
        expect(await names({ stream: 'orders' })).toEqual(['a/orders', 'b/orders'])
        expect(await names({ group: 'a' })).toEqual(['a/bills', 'a/orders'])
        expect(await names({ group: 'b', stream: 'bills' })).toEqual([])
      })

      it('outlives the client that wrote it', async () => {
        await groups.ensure(name, initial)
        await groups.addPartitions(name, [7])
        await groups.pause(name, { partitions: [2], ...ann })
        await groups.pause(name, bob)
        await groups.stop(name, { how: 'terminated', ...ann })
        const last = await groups.reslice(name, { from: 1, slices: 32, ...bob })
        await Promise.all(clients.splice(0).map((client) => client.close()))
        const later = await connect()
        expect(await later.groups.read(name)).toEqual(last)
        expect(last).toEqual({
          ...name,
          slices: 32,
          generation: 2,
          partitions: [0, 1, 2, 3, 7],
          stopped: { at: expect.any(Date), how: 'terminated', ...ann },
          paused: {
            group: { at: expect.any(Date), ...bob },
            partitions: new Map([[2, { at: expect.any(Date), ...ann }]]),
          },
        })
      })
    })

    describe('known partitions', () => {
      it('grow, and adding one twice changes nothing', async () => {
        await groups.ensure(name, initial)
        expect((await groups.addPartitions(name, [5, 4])).partitions).toEqual([0, 1, 2, 3, 4, 5])
        expect((await groups.addPartitions(name, [4, 0])).partitions).toEqual([0, 1, 2, 3, 4, 5])
        expect((await groups.addPartitions(name, [])).partitions).toEqual([0, 1, 2, 3, 4, 5])
        expect((await groups.addPartitions(name, [9])).partitions).toEqual([0, 1, 2, 3, 4, 5, 9])
        expect(await history()).toEqual([])
      })

      it('may be none at first, and may be thousands', async () => {
        expect((await groups.ensure(name, { slices: 64, partitions: [] })).partitions).toEqual([])
        expect((await groups.read(name))!.partitions).toEqual([])
        const thousands = Array.from({ length: 4_096 }, (_, n) => n)
        expect((await groups.addPartitions(name, thousands)).partitions).toEqual(thousands)
        expect((await groups.read(name))!.partitions).toEqual(thousands)
      })

      it('that 20 callers add at once are all remembered', async () => {
        await groups.ensure(name, initial)
        await twenty((some, n) => some.addPartitions(name, [10 + n]))
        const added = Array.from({ length: 20 }, (_, n) => 10 + n)
        expect((await groups.read(name))!.partitions).toEqual([0, 1, 2, 3, ...added])
      })
    })

    describe('reslicing', () => {
      it('changes the number of slices and begins a new generation', async () => {
        const before = await groups.ensure(name, initial)
        const after = await groups.reslice(name, { from: 1, slices: 32, ...ann })
        expect(after).toEqual({ ...before, slices: 32, generation: 2 })
        expect(await groups.read(name)).toEqual(after)
        expect(await history()).toEqual(['all resliced ann@desk: 16 to 32 slices: bad deploy'])
      })

      it('changes nothing for a caller who knows an older generation', async () => {
        await groups.ensure(name, initial)
        const after = await groups.reslice(name, { from: 1, slices: 32, ...ann })
        expect(await groups.reslice(name, { from: 1, slices: 64, ...bob })).toBeNull()
        expect(await groups.reslice(name, { from: 3, slices: 64, ...bob })).toBeNull()
        expect(await groups.read(name)).toEqual(after)
        expect(await history()).toHaveLength(1)
      })

      it('by 20 callers at once has one winner', async () => {
        await groups.ensure(name, initial)
        const outcomes = await twenty((some, n) => some.reslice(name, { from: 1, slices: 20 + n, ...ann }))
        const winners = outcomes.filter((record) => record !== null)
        expect(winners).toEqual([await groups.read(name)])
        expect(winners[0]!.generation).toBe(2)
        expect(await history()).toHaveLength(1)
      })
    })

    describe('a stop', () => {
      it('says who ended the group, how and why, and a second one does not replace it', async () => {
        await groups.ensure(name, initial)
        const first = await groups.stop(name, { how: 'terminated', ...ann })
        expect(first.stopped).toEqual({ at: expect.any(Date), how: 'terminated', ...ann })
        expect(await groups.stop(name, { how: 'cancelled', ...bob })).toEqual(first)
        expect(await groups.read(name)).toEqual(first)
        expect(await history()).toEqual(['all stopped ann@desk: terminated: bad deploy'])
      })

      it('ends when a person resumes the group, which keeps its pauses', async () => {
        await groups.ensure(name, initial)
        const paused = await groups.pause(name, ann)
        await groups.stop(name, { how: 'cancelled', ...ann })
        expect(await groups.resume(name, bob)).toEqual(paused)
        expect(await groups.resume(name, ann)).toEqual(paused)
        expect(await history()).toEqual([
          'all restarted bob@desk: prices are wrong',
          'all stopped ann@desk: cancelled: bad deploy',
          'all paused ann@desk: bad deploy',
        ])
      })

      it('by 20 callers at once has one reason', async () => {
        await groups.ensure(name, initial)
        const records = await twenty((some, n) => some.stop(name, { how: 'cancelled', by: `user-${n}`, why: '' }))
        const stored = await groups.read(name)
        for (const record of records) expect(record).toEqual(stored)
        expect(await history()).toEqual([`all stopped ${stored!.stopped!.by}: cancelled`])
      })
    })

    describe('a pause', () => {
      it('of the group keeps its first reason, and holds while partitions are added', async () => {
        await groups.ensure(name, initial)
        const { paused } = await groups.pause(name, ann)
        expect(paused).toEqual({ group: { at: expect.any(Date), ...ann }, partitions: new Map() })
        expect((await groups.pause(name, bob)).paused).toEqual(paused)
        expect((await groups.addPartitions(name, [4])).paused).toEqual(paused)
        expect(await groups.read(name)).toMatchObject({ paused, partitions: [0, 1, 2, 3, 4] })
        expect(await history()).toEqual(['all paused ann@desk: bad deploy'])
      })

      it('of partitions is independent of the others, and of the group', async () => {
        await groups.ensure(name, initial)
        await groups.pause(name, { partitions: [2], ...ann })
        await groups.pause(name, bob)
        const { paused } = await groups.pause(name, { partitions: [3, 2, 1, 1], ...bob })
        expect(paused).toEqual({
          group: { at: expect.any(Date), ...bob },
          partitions: new Map([
            [1, { at: expect.any(Date), ...bob }],
            [2, { at: expect.any(Date), ...ann }],
            [3, { at: expect.any(Date), ...bob }],
          ]),
        })
        expect((await groups.read(name))!.paused).toEqual(paused)
        expect(await history()).toEqual([
          '3 paused bob@desk: prices are wrong',
          '1 paused bob@desk: prices are wrong',
          'all paused bob@desk: prices are wrong',
          '2 paused ann@desk: bad deploy',
        ])
      })

      it('of one partition ends without touching the others, or the pause of the group', async () => {
        await groups.ensure(name, initial)
        await groups.pause(name, { partitions: [1, 2], ...ann })
        await groups.pause(name, ann)
        const { paused } = await groups.unpause(name, { partitions: [0, 1], ...bob })
        expect(paused.group).toMatchObject(ann)
        expect([...paused.partitions.keys()]).toEqual([2])
        expect((await history())[0]).toBe('1 resumed bob@desk: prices are wrong')
        expect((await groups.unpause(name, { partitions: [0, 1], ...bob })).paused).toEqual(paused)
        expect(await history()).toHaveLength(4)
      })

      it('ends for the group and all its partitions at once', async () => {
        const before = await groups.ensure(name, initial)
        await groups.pause(name, { partitions: [1, 2], ...ann })
        await groups.pause(name, ann)
        expect(await groups.unpause(name, bob)).toEqual(before)
        expect(await groups.unpause(name, bob)).toEqual(before)
        expect(await history()).toHaveLength(4)
        await groups.pause(name, { partitions: [1], ...ann })
        expect(await groups.unpause(name, bob)).toEqual(before)
        expect((await history())[0]).toBe('all resumed bob@desk: prices are wrong')
      })

      it('of no partition changes nothing', async () => {
        const before = await groups.ensure(name, initial)
        expect(await groups.pause(name, { partitions: [], ...ann })).toEqual(before)
        expect(await history()).toEqual([])
      })

      it('of the group by 20 callers at once has one reason', async () => {
        await groups.ensure(name, initial)
        const records = await twenty((some, n) => some.pause(name, { by: `user-${n}`, why: '' }))
        const stored = await groups.read(name)
        for (const record of records) expect(record).toEqual(stored)
        expect(await history()).toEqual([`all paused ${stored!.paused.group!.by}: `])
      })

      it('of 20 partitions by as many callers at once is remembered for each', async () => {
        await groups.ensure(name, initial)
        await twenty((some, n) => some.pause(name, { partitions: [n], by: `user-${n}`, why: '' }))
        const { paused } = (await groups.read(name))!
        const by = [...paused.partitions].map(([partition, pause]) => `${partition} ${pause.by}`).sort()
        expect(by).toEqual(Array.from({ length: 20 }, (_, n) => `${n} user-${n}`).sort())
        expect(await history()).toHaveLength(20)
      })
    })

    describe('a group that is deleted', () => {
      it('has no record any more, and a history that says who did it', async () => {
        await groups.ensure(name, initial)
        await groups.ensure({ ...name, stream: 'bills' }, initial)
        await groups.pause(name, ann)
        await groups.delete(name, bob)
        expect(await groups.read(name)).toBeNull()
        expect(await groups.list({})).toHaveLength(1)
        expect(await history(name)).toEqual([
          'all deleted bob@desk: prices are wrong',
          'all paused ann@desk: bad deploy',
        ])
      })

      it('begins anew where it is started again', async () => {
        await groups.ensure(name, initial)
        await groups.pause(name, ann)
        await groups.delete(name, bob)
        expect(await groups.ensure(name, { slices: 4, partitions: [0] })).toMatchObject({
          slices: 4,
          partitions: [0],
          paused: { group: null },
        })
      })
    })

    describe('the history', () => {
      it('of one partition includes what was done to the whole group', async () => {
        await groups.ensure(name, initial)
        await groups.pause(name, { partitions: [1, 2], ...ann })
        await groups.pause(name, bob)
        await database.changes.add({ ...name, partition: 2, kind: 'adopted', from: null, to: 7n, ...ann })
        await groups.ensure({ ...name, stream: 'bills' }, initial)
        await groups.pause({ ...name, stream: 'bills' }, ann)
        expect(await history({ ...name, partition: 2 })).toEqual([
          '2 adopted ann@desk: bad deploy',
          'all paused bob@desk: prices are wrong',
          '2 paused ann@desk: bad deploy',
        ])
      })

      it('has no positions where none was moved, and the time that the record has', async () => {
        await groups.ensure(name, initial)
        const { paused } = await groups.pause(name, ann)
        expect(await database.changes.list({ ...name, limit: 1 })).toEqual([
          { ...name, partition: null, kind: 'paused', from: null, to: null, at: paused.group!.at, ...ann },
        ])
      })
    })
  })
}
