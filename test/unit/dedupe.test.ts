import { describe, expect, it } from 'vitest'
import { Deduplicator } from '../../activities/handling/dedupe.js'
import type { DedupeRule } from '../../src/config/parse.js'
import type { UserFailure } from '../../src/model/errors.js'
import type { Inbox, Message, Transaction } from '../../src/ports/index.js'
import { silentLog } from '../support/silent-log.js'

const place = { group: 'billing', stream: 'orders', partition: 3, replay: 0 }
const tx = {} as Transaction
const messagesOf = (...keys: (string | null)[]) =>
  keys.map((key, index) => ({ key, value: { secret: `SENTINEL-${index}` }, offset: BigInt(10 + index), headers: [] }))

function setUp(key: DedupeRule['key'] = (message) => message.key, known: string[] = []) {
  const asked: { keys: readonly string[]; offsets: readonly bigint[] }[] = []
  let expired = 0
  const inbox: Inbox = {
    admit: async (_tx, _key, arrivals) => {
      asked.push(arrivals)
      return arrivals.keys.flatMap((one, index) => (known.includes(one) ? [index] : []))
    },
    expire: async () => {
      expired++
      return 0
    },
  }
  const log = silentLog()
  const draining = new AbortController()
  const dedupe = new Deduplicator({ key, retentionMs: 1_000 }, { inbox }, log, draining.signal)
  const offsets = async (messages: ReturnType<typeof messagesOf>) =>
    (await dedupe.admit(tx, place, messages as unknown as Message[])).map(({ offset }) => Number(offset))
  return { offsets, asked, log, expired: () => expired }
}

describe('dedupe', () => {
  it('leaves out what is known and what comes twice, and keeps the order', async () => {
    const { offsets, asked } = setUp(undefined, ['b'])
    expect(await offsets(messagesOf('a', 'b', 'a', 'c'))).toEqual([10, 13])
    expect(asked).toEqual([{ keys: ['a', 'b', 'c'], offsets: [10n, 11n, 13n] }])
  })

  it('leaves messages without a key alone, and asks nothing where none has one', async () => {
    const { offsets, asked } = setUp()
    expect(await offsets(messagesOf(null, null))).toEqual([10, 11])
    expect(asked).toEqual([])
    expect(await offsets(messagesOf(null, 'a', null, 'a'))).toEqual([10, 11, 12])
  })

  it('takes bytes for the text that they are, and leaves out none that is another', async () => {
    const raw = (index: number) => Buffer.from([0xc3, index])
    const { offsets, asked } = setUp(({ offset }) => (offset === 10n ? '\u00e9' : raw(Number(offset) + 0x9e)))
    // 0xc3 0xa9 is é in UTF-8.
    expect(await offsets(messagesOf(...Array.from({ length: 120 }, () => null)))).toHaveLength(119)
    expect(asked[0]!.keys[0]).toBe('é')
  })

  it('counts what it left out', async () => {
    const { offsets, log } = setUp(undefined, ['a'])
    await offsets(messagesOf('a', 'b', 'b'))
    await offsets(messagesOf('a'))
    await offsets(messagesOf('c'))
    expect(log.lines.map(({ level, fields }) => ({ level, ...fields }))).toEqual([
      { level: 'debug', group: 'billing', stream: 'orders', partition: 3, dropped: 2, droppedSinceStart: 2 },
      { level: 'debug', group: 'billing', stream: 'orders', partition: 3, dropped: 1, droppedSinceStart: 3 },
    ])
  })

  it('a key function that throws is named with the offset, and nothing of what it threw', async () => {
    const { offsets } = setUp((message) => {
      if (message.offset === 11n) throw new Error(`no id in ${JSON.stringify(message.value)}`)
      return 'a'
    })
    const error = await offsets(messagesOf('a', 'b')).catch((error: unknown) => error as Error)
    expect(error).toMatchObject({
      code: 'HANDLER_FAILED',
      place: { group: 'billing', stream: 'orders', partition: 3, offset: '11' },
    })
    expect(String(error)).toContain('dedupe of group billing failed at orders[3] offset 11: its key function threw')
    expect(String(error)).not.toContain('SENTINEL')
    expect((error as UserFailure).describe('no id')).toMatch(/its key function threw: no id$/)
  })

  it.each([
    [undefined, 'undefined'],
    [7, 'a value of type number'],
    [Promise.resolve('a'), 'a promise'],
  ])('a key function that returns %s is named with the offset', async (key, what) => {
    const { offsets } = setUp(() => key as never)
    await expect(offsets(messagesOf('a'))).rejects.toThrow(
      `orders[3] offset 10: its key function returned ${what}; it must return text`,
    )
  })

  it('looks for old keys once a minute at most', async () => {
    const { offsets, expired } = setUp()
    for (let chunk = 0; chunk < 5; chunk++) await offsets(messagesOf('a'))
    expect(expired()).toBe(1)
  })
})
