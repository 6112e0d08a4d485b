import type { DatabaseClient, DeadLetters, LetterState } from '../../ports/index.js'
import type { DatabaseHarness } from './database-harness.js'
import { hooksOf, type TestFramework } from './framework.js'
import { failedLetter, type LetterOwner, laterLetter, offsetsOf, ownerOf } from './letters-owner.js'

const ann = { by: 'ann@desk', reason: 'mended' }

/** The suite of what people ask of dead letters, on connections of their own, while the owner works: nothing is lost, and nobody waits for ever. */
export function letterRequestsSuite(
  framework: TestFramework,
  kind: string,
  open: () => Promise<DatabaseHarness>,
): void {
  const { describe, it, expect, beforeAll, afterAll, beforeEach } = hooksOf(framework)
  describe(`${kind} dead letters and people`, () => {
    let harness: DatabaseHarness
    let client: DatabaseClient
    let person: DatabaseClient
    /** Those of a person. */
    let letters: DeadLetters
    let owner: LetterOwner
    let group: string
    let tests = 0

    beforeAll(async () => {
      harness = await open()
      client = await harness.connect()
      person = await harness.connect()
      letters = person.letters
    })
    afterAll(async () => {
      await client.close()
      await person.close()
      await harness.close()
    })
    beforeEach(async () => {
      group = `asked-${++tests}`
      owner = await ownerOf(client, { group, stream: 'orders', partition: 3 })
    })

    const listed = () => letters.list({ group }, { limit: 1_000 })
    const states = async () => (await listed()).map(({ offset, state }) => `${offset} ${state}`)
    const idOf = async (offset: number) => (await listed()).find((letter) => letter.offset === BigInt(offset))!.id

    it('a redrive takes whole queues of the letters that are meant, and says whose owners have to hear of it', async () => {
      const second = await ownerOf(client, { group, stream: 'orders', partition: 1 })
      await owner.add(failedLetter(1, 'a'), failedLetter(2, 'b'), laterLetter(3, 'a'), failedLetter(4, null))
      await second.add(failedLetter(1, 'a', { code: 'RangeError' }), laterLetter(2, 'a'))
      expect(await letters.request({ group, code: 'RangeError' }, { what: 'redrive', ...ann })).toEqual({
        ...{ letters: 2, queues: 1, partitions: 1, behind: 1 },
        owners: [second.key],
      })
      expect(await letters.request({ ids: [await idOf(3)] }, { what: 'redrive', ...ann })).toMatchObject({ letters: 2 })
      expect([offsetsOf(await owner.due()), offsetsOf(await second.due())]).toEqual([
        [1, 3],
        [1, 2],
      ])
      const none = { letters: 0, queues: 0, partitions: 0, behind: 0, owners: [] }
      expect(await letters.request({ group, code: 'none' }, { what: 'redrive', ...ann })).toEqual(none)
    })

    it('the slowest redrive sets the pace', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, 'b'), failedLetter(3, 'c'))
      const pace = async () => (await client.letters.due(owner.key, { now: 0, limit: 9 })).perSecond
      await letters.request({ group, key: 'a' }, { what: 'redrive', ...ann })
      expect(await pace()).toBeNull()
      await letters.request({ group, key: 'b' }, { what: 'redrive', ...ann, perSecond: 20 })
      await letters.request({ group, key: 'c' }, { what: 'redrive', ...ann, perSecond: 0.5 })
      expect(await pace()).toBe(0.5)
    })

    it("'now' makes what waits for its time due, with its queue, and nothing else", async () => {
      await owner.add(failedLetter(1, 'a', { class: 'later', dueAt: 9_000 }), failedLetter(2, 'b'), laterLetter(3, 'a'))
      expect(await letters.request({ group }, { what: 'now', ...ann })).toMatchObject({ letters: 2, queues: 1 })
      expect(await states()).toEqual(['1 due', '2 waiting', '3 due'])
    })

    it('what is to come, or to go, waits for a person again where that is cancelled, with its queue', async () => {
      await owner.add(failedLetter(1, 'a', { class: 'later', dueAt: 9_000 }), laterLetter(2, 'a'), failedLetter(3, 'b'))
      await owner.add(failedLetter(4, 'c'), laterLetter(5, 'c'), failedLetter(6, null))
      await letters.request({ group, key: 'c' }, { what: 'redrive', ...ann })
      await letters.request({ ids: [await idOf(6)] }, { what: 'discard', ...ann })
      const cancel = { what: 'cancel', ...ann } as const
      const ids = [await idOf(2), await idOf(3), await idOf(4), await idOf(6)]
      expect(await letters.request({ ids }, { ...cancel, dryRun: true })).toMatchObject({ letters: 5, queues: 2 })
      expect(await states()).toEqual(['1 waiting', '2 waiting', '3 waiting', '4 due', '5 due', '6 leaving'])
      expect(await letters.request({ ids }, cancel)).toMatchObject({ letters: 5, owners: [owner.key] })
      expect((await listed()).every(({ state, dueAt }) => state === 'waiting' && dueAt === null)).toBe(true)
      expect(await letters.parked(owner.key)).toMatchObject({ nextDue: null })
    })

    it('a dry run of a request says what it means, with whole queues, and changes nothing', async () => {
      await owner.add(failedLetter(1, 'a'), laterLetter(2, 'a'), failedLetter(3, 'b'))
      const [ids, before] = [[await idOf(1)], await listed()]
      const asked = { ...ann, dryRun: true }
      expect([
        await letters.request({ ids }, { what: 'redrive', ...asked }),
        await letters.request({ ids }, { what: 'discard', followers: 'redrive', ...asked }),
      ]).toMatchObject([
        { letters: 2, queues: 1, owners: [owner.key] },
        { letters: 2, queues: 1 },
      ])
      await expect(letters.request({ ids }, { what: 'discard', ...asked })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      })
      expect(await listed()).toEqual(before)
    })

    it('a message that was to be discarded and comes again in a newer replay is kept', async () => {
      await owner.add(failedLetter(1, 'a'), laterLetter(2, 'a'))
      await letters.request({ group }, { what: 'discard', ...ann })
      await owner.add(laterLetter(1, 'a'), laterLetter(2, 'a', { replay: 1 }))
      expect(await listed()).toMatchObject([
        { offset: 1n, state: 'leaving', replay: 0, class: 'poison' },
        { offset: 2n, state: 'due', replay: 1, class: 'behind', by: null },
      ])
      expect((await owner.done(...(await owner.due()))).length).toBe(1)
    })

    it('what is discarded goes by its owner, and leaves no content', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, null))
      expect(await letters.request({ group }, { what: 'discard', ...ann })).toMatchObject({ letters: 2 })
      expect((await letters.parked(owner.key)).nextDue).toBe(0)
      const due = await owner.due()
      expect(due.map(({ state }) => state)).toEqual(['leaving', 'leaving'])
      expect(await owner.done(...due)).toEqual(['a'])
      expect(await letters.read(due[0]!.id)).toMatchObject({ state: 'discarded', message: null, ...ann })
    })

    it('discarding a first letter needs a word about those behind it, unless all are meant', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, 'b'), laterLetter(3, 'a'), laterLetter(4, 'a'))
      const first = { ids: [await idOf(1)] }
      const message = (error: { readonly message: string; readonly code: string }) => [error.code, error.message]
      const [code, text] = await letters.request(first, { what: 'discard', ...ann }).then(() => [], message)
      expect([
        code,
        text?.includes(`orders[3] of group ${group}, offset 3`),
        text?.startsWith('2 letters of 1 key'),
      ]).toEqual(['CONFIG_INVALID', true, true])
      expect(await states()).toEqual(['1 waiting', '2 waiting', '3 waiting', '4 waiting'])
      expect(await letters.request({ group, key: 'a' }, { what: 'discard', ...ann })).toMatchObject({ letters: 3 })
    })

    it('letters behind a discarded one are handled after it, where that is wanted', async () => {
      await owner.add(failedLetter(1, 'a'), laterLetter(2, 'a'), laterLetter(3, 'a'))
      await letters.request({ ids: [await idOf(1)] }, { what: 'discard', followers: 'redrive', ...ann })
      expect(await states()).toEqual(['1 leaving', '2 due', '3 due'])
    })

    it('letters behind a discarded one go with it, where that is wanted', async () => {
      await owner.add(failedLetter(1, 'a'), laterLetter(2, 'a'), failedLetter(3, 'b'))
      const asked = await letters.request({ ids: [await idOf(1)] }, { what: 'discard', followers: 'discard', ...ann })
      expect([asked.letters, await states()]).toEqual([2, ['1 leaving', '2 leaving', '3 waiting']])
      await owner.add(laterLetter(4, 'a'))
      expect((await states()).at(-1)).toBe('4 due')
    })

    it('a letter that is discarded from the middle of its queue goes while the others wait', async () => {
      await owner.add(failedLetter(1, 'a'), laterLetter(2, 'a'), laterLetter(3, 'a'))
      await letters.request({ ids: [await idOf(2)] }, { what: 'discard', followers: 'discard', ...ann })
      const due = await owner.due()
      expect(offsetsOf(due)).toEqual([2])
      expect(await owner.done(...due)).toEqual([])
      expect(await states()).toEqual(['1 waiting', '3 waiting'])
      await owner.add(laterLetter(4, 'a'))
      expect((await states()).at(-1)).toBe('4 waiting')
    })

    it('what is to be discarded still is when the letter before it fails again', async () => {
      await owner.add(failedLetter(1, 'a'), laterLetter(2, 'a'), laterLetter(3, 'a'))
      await letters.request({ group }, { what: 'redrive', ...ann })
      await letters.request({ ids: [await idOf(2)] }, { what: 'discard', ...ann })
      await owner.failed({ id: await idOf(1) })
      expect(await states()).toEqual(['1 waiting', '2 leaving', '3 waiting'])
    })

    it('a redrive of what was to be discarded keeps it', async () => {
      await owner.add(failedLetter(1, 'a'))
      await letters.request({ group }, { what: 'discard', ...ann })
      await letters.request({ group }, { what: 'redrive', by: 'bob', reason: 'no' })
      expect(await listed()).toMatchObject([{ state: 'due', by: 'bob', reason: 'no' }])
    })

    it('a letter that a person has changed since its owner read it is read again', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, 'b'))
      await letters.request({ group }, { what: 'redrive', ...ann })
      const [first, second] = await owner.due()
      await letters.request({ ids: [first!.id] }, { what: 'discard', ...ann })
      await letters.correct(second!.id, Buffer.from('2'), 'bob', 'a typo')
      const changed = { code: 'POSITION_CHANGED' }
      await expect(owner.done(first!)).rejects.toMatchObject(changed)
      await expect(owner.done(second!)).rejects.toMatchObject(changed)
      await expect(owner.failed(second!)).rejects.toMatchObject(changed)
      const [leaving, corrected] = await owner.due()
      expect([leaving!.state, corrected!.message!.value?.toString()]).toEqual(['leaving', '2'])
      expect(await owner.done(leaving!, corrected!)).toHaveLength(2)
    })

    it('a corrected value takes the place of the old one, which may be none', async () => {
      await owner.add(failedLetter(1, 'a', { message: { ...failedLetter(1, 'a').message, headers: [['h', null]] } }))
      const id = await idOf(1)
      const value = Buffer.from([0, 0xff])
      expect(await letters.correct(id, value, 'bob', 'a typo')).toBe(true)
      expect(await letters.read(id)).toMatchObject({ corrected: true, by: 'bob', reason: 'a typo', bytes: 3 })
      const { message } = (await letters.read(id))!
      expect([message!.value, message!.key, message!.headers]).toEqual([value, Buffer.from('a'), [['h', null]]])
      expect(await letters.correct(id, null, 'bob', 'a tombstone')).toBe(true)
      expect((await letters.read(id))!.message!.value).toBeNull()
      await letters.request({ ids: [id] }, { what: 'discard', ...ann })
      await owner.done({ id })
      expect([
        await letters.correct(id, value, 'bob', ''),
        await letters.correct('99999999', value, 'bob', ''),
      ]).toEqual([false, false])
    })

    it('a reference can not be corrected', async () => {
      await owner.add(failedLetter(1, 'a', { reference: true }))
      const correcting = letters.correct(await idOf(1), Buffer.from('1'), 'bob', '')
      await expect(correcting.then(() => {})).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    })

    it('are listed by what a filter means, piece by piece, and counted', async () => {
      const second = await ownerOf(client, { group, stream: 'bills', partition: 0 })
      const bytes = { ...failedLetter(5, 'x').message, key: Buffer.from([0x61, 0xff]) }
      await owner.add(failedLetter(1, 'a'), failedLetter(2, 'b', { class: 'crash', code: 'LOST' }), laterLetter(3, 'a'))
      await second.add(failedLetter(5, 'x', { message: bytes }), failedLetter(6, 'y', { state: 'skipped' }))
      const of = async (filter: Parameters<DeadLetters['list']>[0]) =>
        offsetsOf(await letters.list({ group, ...filter }, { limit: 9 }))
      expect(await of({})).toEqual([5, 1, 2, 3])
      expect([await of({ stream: 'orders' }), await of({ partitions: [0, 7] })]).toEqual([[1, 2, 3], [5]])
      expect([await of({ class: 'crash' }), await of({ code: 'LOST' }), await of({ code: 'a\0' })]).toEqual([
        [2],
        [2],
        [],
      ])
      expect([await of({ key: 'a' }), await of({ key: 'a\udcff' }), await of({ key: 'a\ufffd' })]).toEqual([
        [1, 3],
        [5],
        [],
      ])
      expect(
        (await letters.list({ group }, { limit: 9 })).map(({ messageKey }) => messageKey?.toString('hex')),
      ).toEqual([...['61ff', '61', '62', '61']])
      await letters.request({ group, key: 'b' }, { what: 'redrive', ...ann })
      expect([await of({ askedBy: ann.by }), await of({ askedBy: 'bob' })]).toEqual([[2], []])
      expect(await of({ offsets: [3n, 9n] })).toEqual([3])
      expect([await of({ states: ['skipped'] }), await of({ ids: ['nonsense'] })]).toEqual([[6], []])
      expect([await of({ olderThanMs: 0 }), await of({ olderThanMs: 3_600_000 })]).toEqual([[5, 1, 2, 3], []])
      const pages: number[] = []
      for (let after: string | undefined; ; ) {
        const page = await letters.list({ group }, { limit: 3, ...(after === undefined ? {} : { after }) })
        pages.push(...offsetsOf(page))
        after = page.at(-1)?.id
        if (after === undefined) break
      }
      expect(pages).toEqual([5, 1, 2, 3])
      expect(await letters.count({ group })).toEqual({ letters: 4, queues: 3, partitions: 2, behind: 1 })
    })

    it('a letter that is set aside while a person asks for a redrive of its queue is part of it', async () => {
      await owner.add(failedLetter(1, 'a'))
      let asked: Promise<unknown> | undefined
      await owner.transact(async (tx) => {
        await client.letters.add(tx, owner.key, [laterLetter(2, 'a')])
        asked = letters.request({ group }, { what: 'redrive', ...ann })
        // Time for the request to get as far as it can.
        await letters.list({ group }, { limit: 1 })
      })
      await asked
      expect(offsetsOf(await owner.due())).toEqual([1, 2])
    })

    it('people and owners never wait in a circle, and all letters come to their end', async () => {
      const owners = await Promise.all(
        [4, 5, 6, 7].map((partition) => ownerOf(client, { group, stream: 'orders', partition })),
      )
      const queues = ['a', 'b', 'c', 'd', 'e']
      for (const one of owners) await one.add(...queues.map((queue, offset) => failedLetter(offset, queue)))
      const most = 8
      const people = (['redrive', 'now', 'redrive'] as const).map(async (what, n) => {
        for (let time = 0; time < most; time++)
          await letters.request(n === 2 ? { group, key: queues[time % 5]! } : { group }, { what, ...ann })
      })
      const working = owners.map(async (one, n) => {
        for (let offset = 10; offset < 10 + most; offset++) {
          const due = await one.due(0, 3)
          await one
            .transact(async (tx) => {
              if (due[0]) await client.letters.done(tx, one.key, [due[0].id])
              await client.letters.add(tx, one.key, [laterLetter(offset, queues[(offset + n) % 5]!)])
              const last = due.at(-1)
              if (last && last.queue !== due[0]?.queue)
                await client.letters.failed(tx, one.key, last.id, failedLetter(0, 'a'))
            })
            // A person was faster, and the transaction is tried again.
            .catch((error: { readonly code?: string }) => {
              if (error.code !== 'POSITION_CHANGED') throw error
              offset--
            })
        }
      })
      await Promise.all([...people, ...working])
      await letters.request({ group }, { what: 'redrive', ...ann })
      for (const one of owners) await one.done(...(await one.due()))
      const ended: readonly LetterState[] = ['redriven']
      expect([await listed(), (await letters.count({ group, states: ended })).letters]).toEqual([[], 4 * (5 + most)])
    })
  })
}
