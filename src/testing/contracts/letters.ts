import type { DatabaseClient, DeadLetters } from '../../ports/index.js'
import type { DatabaseHarness } from './database-harness.js'
import { hooksOf, type TestFramework } from './framework.js'
import { failedLetter, type LetterOwner, laterLetter, offsetsOf, ownerOf } from './letters-owner.js'

const ann = { by: 'ann@desk', reason: 'mended' }

/** The suite of what a partition's owner does with dead letters: they are kept whole, in order, and with the handler's effects. */
export function lettersSuite(framework: TestFramework, kind: string, open: () => Promise<DatabaseHarness>): void {
  const { describe, it, expect, beforeAll, afterAll, beforeEach } = hooksOf(framework)
  describe(`${kind} dead letters`, () => {
    let harness: DatabaseHarness
    let client: DatabaseClient
    let letters: DeadLetters
    let owner: LetterOwner
    let tests = 0

    beforeAll(async () => {
      harness = await open()
      client = await harness.connect()
      letters = client.letters
    })
    afterAll(async () => {
      await client.close()
      await harness.close()
    })
    beforeEach(async () => {
      owner = await ownerOf(client, { group: `failing-${++tests}`, stream: 'orders', partition: 3 })
    })
    const redrive = () => letters.request({ group: owner.key.group }, { what: 'redrive', ...ann })
    const listed = async () => letters.list({ group: owner.key.group }, { limit: 100 })

    it('are none where nothing was set aside', async () => {
      const none = { queues: [], letters: 0, oldestMs: null, nextDue: null }
      const keys = Array.from({ length: 64 }, (_, partition) => ({ ...owner.key, partition }))
      expect(await Promise.all(keys.map((key) => letters.parked(key)))).toEqual(keys.map(() => none))
      expect([await owner.due(), await letters.read('1234567'), await letters.read('nonsense')]).toEqual([
        [],
        null,
        null,
      ])
    })

    it('keep a message byte for byte', async () => {
      const message = {
        offset: 2n ** 60n + 1n,
        timestamp: 1_700_000_000_123,
        key: Buffer.from([0, 0xff, 0x5c, 0x78, 0x80]),
        value: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
        headers: [
          ['trace', Buffer.from('1')],
          ['trace', null],
          ['', Buffer.alloc(0)],
          ['a\0b\udc80"\\', Buffer.from([0, 0xff])],
          ['trace', Buffer.from('1')],
        ] as const,
      }
      await owner.add(failedLetter(0, 'a', { message }))
      await redrive()
      const [letter] = await owner.due()
      expect(letter!.message).toEqual(message)
      expect(letter).toMatchObject({ offset: message.offset, bytes: 261, queue: 'a', key: owner.key, reference: false })
      expect((await letters.read(letter!.id))!.message).toEqual(message)
    })

    it('tell nothing from emptiness in a message', async () => {
      const empty = { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [] }
      const nothing = { key: null, value: null, headers: [] }
      const messages = [empty, nothing].map((content, offset) => ({
        ...content,
        offset: BigInt(offset),
        timestamp: -1,
      }))
      await owner.add(...messages.map((message, offset) => failedLetter(offset, null, { message })))
      await redrive()
      expect((await owner.due()).map(({ message }) => message)).toEqual(messages)
    })

    it('remember that a value is the whole of a message, until a person puts another one in its place', async () => {
      const message = {
        offset: 1n,
        timestamp: 5,
        key: null,
        value: Buffer.from([0, 1]),
        headers: [],
        whole: true as const,
      }
      await owner.add(failedLetter(1, null, { message }))
      await redrive()
      const [letter] = await owner.due()
      expect(letter!.message).toEqual(message)
      await letters.correct(letter!.id, Buffer.from('{}'), 'ann', 'mended')
      const { whole: _, ...plain } = message
      expect((await letters.read(letter!.id))!.message).toEqual({ ...plain, value: Buffer.from('{}') })
    })

    it('say why, in texts that every database can hold', async () => {
      const text = 'a\0b\ud800c'
      await owner.add(failedLetter(1, 'a', { code: text, error: `${text}${'é'.repeat(2_000)}` }), laterLetter(2, 'a'))
      const [first, second] = await listed()
      expect(first).toMatchObject({ class: 'poison', code: 'a\ufffdb\ufffdc', tries: 3, by: null, corrected: false })
      expect([first!.error.slice(0, 6), first!.error.length]).toEqual(['a\ufffdb\ufffdcé', 1_000])
      expect([first!.firstAt, first!.lastAt, first!.dueAt]).toEqual([1_700_000_000_000, 1_700_000_060_000, null])
      expect(second).toMatchObject({ class: 'behind', code: null, error: '', tries: 0, firstAt: null, lastAt: null })
      expect(Math.abs(first!.at.getTime() - Date.now())).toBeLessThan(60_000)
    })

    it('are set aside together with the progress that moves past them, or not at all', async () => {
      const failing = owner.transact(async (tx) => {
        await letters.add(tx, owner.key, [failedLetter(1, 'a')])
        throw new Error('the handler failed')
      })
      await expect(failing).rejects.toMatchObject({ message: 'the handler failed' })
      expect(await listed()).toEqual([])
    })

    it('that are there stay as they are, whichever replay brings them again', async () => {
      await owner.add(failedLetter(1, 'a'), laterLetter(2, 'a'))
      const before = await listed()
      await owner.add(
        failedLetter(1, 'a', { replay: 1, tries: 9 }),
        laterLetter(2, 'a', { replay: 1 }),
        laterLetter(3, 'a'),
      )
      expect((await listed()).slice(0, 2)).toEqual(before)
      expect(offsetsOf(await listed())).toEqual([1, 2, 3])
    })

    it('are counted with their queues and the time of the next one', async () => {
      await owner.add(
        failedLetter(1, 'a'),
        laterLetter(2, 'a'),
        failedLetter(3, null),
        failedLetter(4, 'b', { class: 'later', dueAt: 500 }),
      )
      const { queues, oldestMs, ...counts } = await letters.parked(owner.key)
      expect([[...queues].sort(), counts]).toEqual([['a', 'b'], { letters: 4, nextDue: 500 }])
      expect(Math.abs(oldestMs!)).toBeLessThan(60_000)
      await redrive()
      expect((await letters.parked(owner.key)).nextDue).toBe(0)
      expect(await letters.parked({ ...owner.key, partition: 4 })).toMatchObject({ letters: 0 })
    })

    it('that were skipped are noted without content, and hold up nothing', async () => {
      await owner.add(failedLetter(1, 'a', { state: 'skipped' }))
      expect(await letters.parked(owner.key)).toMatchObject({ letters: 0, queues: [] })
      const [skipped] = await letters.list({ group: owner.key.group, states: ['skipped'] }, { limit: 9 })
      expect(await letters.read(skipped!.id)).toMatchObject({ state: 'skipped', message: null, offset: 1n, bytes: 4 })
      await owner.add(failedLetter(2, 'a'))
      expect((await redrive()).letters).toBe(1)
    })

    it('that are references have no content, and take their turn', async () => {
      await owner.add(failedLetter(1, 'a', { reference: true }), laterLetter(2, 'a'))
      await redrive()
      const due = await owner.due()
      expect(due.map(({ offset, reference, message }) => [offset, reference, message === null])).toEqual([
        [1n, true, true],
        [2n, false, false],
      ])
    })

    it('that wait for a person are not due; letters without a queue wait for themselves only', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, null), failedLetter(3, null), laterLetter(4, 'a'))
      const [, second] = await listed()
      await letters.request({ ids: [second!.id] }, { what: 'redrive', ...ann })
      expect(offsetsOf(await owner.due(Date.now()))).toEqual([2])
    })

    it('are due by offset, and a smaller number of them is the beginning of each queue', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, 'b'), laterLetter(3, 'a'), laterLetter(4, 'b'))
      await redrive()
      expect(offsetsOf(await owner.due())).toEqual([1, 2, 3, 4])
      expect(offsetsOf(await owner.due(0, 3))).toEqual([1, 2, 3])
    })

    it('are due in no more bytes than wanted, and one in any case', async () => {
      const large = (offset: number) => ({
        message: { ...failedLetter(offset, 'a').message, key: null, value: Buffer.alloc(1_000) },
      })
      await owner.add(
        failedLetter(1, 'a', large(1)),
        ...[2, 3].map((offset) => laterLetter(offset, 'a', large(offset))),
      )
      await redrive()
      const within = async (bytes: number) =>
        offsetsOf((await letters.due(owner.key, { now: 0, limit: 9, bytes })).letters)
      expect([await within(10), await within(2_500), await within(3_000)]).toEqual([[1], [1, 2], [1, 2, 3]])
    })

    it('that come back by themselves do so at their time, with those behind them', async () => {
      await owner.add(failedLetter(1, 'a', { class: 'later', dueAt: 1_000 }), laterLetter(2, 'a'), failedLetter(4, 'b'))
      await owner.add(laterLetter(3, 'a'), laterLetter(5, 'b'))
      expect([await owner.due(999), (await letters.parked(owner.key)).nextDue]).toEqual([[], 1_000])
      const due = await owner.due(1_000)
      expect(offsetsOf(due)).toEqual([1, 2, 3])
      expect(await owner.done(due[0]!)).toEqual([])
      await owner.add(laterLetter(6, 'a'))
      expect(offsetsOf(await owner.due(1_000))).toEqual([2, 3, 6])
      expect(await owner.done(...(await owner.due(1_000)))).toEqual(['a'])
    })

    it('join the redrive of their queue, behind the others, until the queue is empty', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, 'b'))
      await letters.request({ group: owner.key.group, key: 'a' }, { what: 'redrive', ...ann, perSecond: 5 })
      await owner.add(laterLetter(3, 'a'), laterLetter(4, 'b'), laterLetter(5, 'a'))
      expect((await listed()).map(({ state, by }) => [state, by])).toEqual([
        ['due', 'ann@desk'],
        ['waiting', null],
        ['due', 'ann@desk'],
        ['waiting', null],
        ['due', 'ann@desk'],
      ])
      const { letters: due, perSecond } = await letters.due(owner.key, { now: 0, limit: 9 })
      expect([offsetsOf(due), perSecond]).toEqual([[1, 3, 5], 5])
      expect(await owner.done(due[0]!, due[1]!)).toEqual([])
      expect(await owner.done(due[2]!)).toEqual(['a'])
      expect((await letters.parked(owner.key)).queues).toEqual(['b'])
    })

    it('that are done with lose their content, and are deleted when they are old', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, null))
      await redrive()
      const due = await owner.due()
      expect(await owner.done(...due)).toEqual(['a'])
      expect([await listed(), await owner.due()]).toEqual([[], []])
      expect(await letters.read(due[0]!.id)).toMatchObject({ state: 'redriven', message: null, ...ann, tries: 3 })
      const states = { group: owner.key.group, states: ['redriven'] } as const
      expect(await letters.expire(owner.key, 3_600_000, 100_000)).toBe(0)
      expect((await letters.count(states)).letters).toBe(2)
      expect(await letters.expire({ ...owner.key, stream: 'bills' }, -60_000, 100)).toBe(0)
      expect(await letters.expire(owner.key, -60_000, 0)).toBe(0)
      expect([await letters.expire(owner.key, -60_000, 1), await letters.expire(owner.key, -60_000, 9)]).toEqual([1, 1])
      expect((await letters.count(states)).letters).toBe(0)
    })

    it('can be set aside again once they are done with', async () => {
      await owner.add(failedLetter(1, 'a'))
      await redrive()
      await owner.done(...(await owner.due()))
      await owner.add(failedLetter(1, 'a', { replay: 1 }))
      expect(await listed()).toMatchObject([{ offset: 1n, replay: 1, state: 'waiting' }])
    })

    it('that fail again wait with their queue, and count on', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, 'b'), laterLetter(3, 'a'), laterLetter(4, 'a'))
      await redrive()
      const due = await owner.due()
      await owner.done(due[0]!)
      await owner.failed(due[2]!, { code: 'RangeError', error: 'again', tries: 2, firstAt: 7, lastAt: 8 })
      expect(offsetsOf(await owner.due(Date.now()))).toEqual([2])
      const [, third, fourth] = await listed()
      expect(third).toMatchObject({
        state: 'waiting',
        class: 'poison',
        code: 'RangeError',
        tries: 2,
        firstAt: 7,
        lastAt: 8,
        ...ann,
      })
      expect(fourth).toMatchObject({ state: 'waiting', class: 'behind', tries: 0, dueAt: null })
      await redrive()
      await owner.failed((await owner.due())[1]!, { tries: 1, firstAt: 9, lastAt: 10 })
      expect((await listed())[1]).toMatchObject({ tries: 3, firstAt: 7, lastAt: 10 })
    })

    it('that fail again may wait for a time, with their queue', async () => {
      await owner.add(failedLetter(1, 'a'), laterLetter(2, 'a'))
      await redrive()
      await owner.failed((await owner.due())[0]!, { class: 'later' }, 5_000)
      await owner.add(laterLetter(3, 'a'))
      expect([await owner.due(4_999), offsetsOf(await owner.due(5_000))]).toEqual([[], [1, 2, 3]])
      const due = await owner.due(5_000)
      await owner.failed(due[0]!)
      expect(await owner.due(Date.now())).toEqual([])
    })

    it('that were not due are not done with, and nothing else is', async () => {
      await owner.add(failedLetter(1, 'a'), failedLetter(2, null))
      const all = await listed()
      await letters.request({ ids: [all[1]!.id] }, { what: 'redrive', ...ann })
      const changed = { code: 'POSITION_CHANGED' }
      await expect(owner.done(all[1]!, all[0]!)).rejects.toMatchObject(changed)
      await expect(owner.done(all[1]!, { id: '999999999' })).rejects.toMatchObject(changed)
      await expect(owner.failed({ id: '999999999' })).rejects.toMatchObject(changed)
      expect((await listed()).map(({ state }) => state)).toEqual(['waiting', 'due'])
      await owner.done(all[1]!)
      await expect(owner.done(all[1]!)).rejects.toMatchObject(changed)
    })

    it('go with the group', async () => {
      const other = await ownerOf(client, { ...owner.key, stream: 'bills' })
      for (const one of [owner, other]) await one.add(failedLetter(1, 'a'), failedLetter(2, 'b', { state: 'skipped' }))
      await client.progress.delete(owner.key)
      const all = await letters.list({ group: owner.key.group, states: ['waiting', 'skipped'] }, { limit: 9 })
      expect(all.map(({ key: { stream }, state }) => [stream, state])).toEqual([
        ['bills', 'waiting'],
        ['bills', 'skipped'],
      ])
    })
  })
}
