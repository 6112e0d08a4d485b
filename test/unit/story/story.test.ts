import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ErrorReports } from '../../../activities/errors/reports.js'
import { Story } from '../../../activities/story/story.js'
import { TidemarkError, UserFailure } from '../../../src/model/errors.js'
import type { ErrorTexts } from '../../../src/model/settings.js'
import { silentLog } from '../../support/silent-log.js'
import { virtualTime } from '../../support/virtual-time.js'

beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass } = virtualTime

const name = { group: 'billing', stream: 'orders' }
const at = { offset: 7n, attempt: 1 }
const key = (partition: number) => ({ ...name, partition })
const second = 1_000
const minute = 60 * second

function told(errors: ErrorTexts = 'message') {
  const log = silentLog()
  const reports = new ErrorReports({ ...name, errors }, [], log)
  const retry = { initialIntervalMs: 1_000, maximumIntervalMs: 60_000, backoff: 2 }
  const heard: string[] = []
  const story = new Story({ ...name, retry }, log, reports, {
    blocked: () => void heard.push('blocked'),
    fenced: () => void heard.push('fenced'),
    caughtUp: () => void heard.push('caughtUp'),
  })
  /** What a handler has thrown, at a partition. */
  const failure = (partition: number, thrown: unknown = new TypeError('no stock')) => {
    const what = `the handler failed at orders[${partition}]`
    return new UserFailure('HANDLER_FAILED', { what, thrown, place: { ...key(partition), offset: '7' } })
  }
  const fails = (partition: number, thrown?: unknown) => story.failed(key(partition), failure(partition, thrown), at)
  /** Messages since the last call. */
  const lines = () => log.lines.splice(0).map(({ level, message }) => `${level}: ${message}`)
  return { log, story, failure, fails, lines, heard }
}

const chunk = (messages: number, next: bigint, head: bigint) => ({ messages: Array(messages), next, head })

const batch = (partition: number, replay = 0, from = '0') => ({
  partition,
  from,
  epoch: 1,
  batch: 1,
  replay,
  identity: null,
})

describe('a partition that fails', () => {
  it('is told at once, on one line, with the place in the handler, the class and where it stands', () => {
    const { fails, log } = told()
    fails(3)
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]).toMatchObject({
      level: 'warn',
      message: 'retrying: the handler failed at orders[3]: TypeError: no stock',
      fields: { ...key(3), offset: '7', attempt: 1, tries: 1, error: { class: 'TypeError' } },
    })
    const { at } = log.lines[0]!.fields as { at: string[] }
    expect(at[0]).toContain('story.test.ts')
  })

  it('and goes on failing is told again after 1, 2, 4 ... minutes, with the number of tries', async () => {
    const { fails, lines } = told()
    const said: [number, string][] = []
    for (let tried = 0; tried < 90; tried++) {
      fails(3)
      for (const line of lines()) said.push([tried, line])
      await pass(10 * second)
    }
    expect(said.map(([tried]) => (tried * 10) / 60)).toEqual([0, 1, 3, 7])
    expect(said[2]![1]).toBe(
      'warn: still retrying after 19 tries in 3 min: the handler failed at orders[3]: TypeError: no stock',
    )
  })

  it('with another kind of error is told at once, and not each time', () => {
    const { fails, lines } = told()
    fails(3)
    fails(3, new RangeError('too many'))
    fails(3)
    fails(3, new RangeError('too few'))
    expect(lines()).toEqual([
      expect.stringContaining('retrying: the handler failed at orders[3]: TypeError'),
      expect.stringContaining(
        'still retrying after 2 tries in 0 s: the handler failed at orders[3]: RangeError: too many',
      ),
    ])
  })

  it('is told once that it has recovered, after how many tries and how long', async () => {
    const { fails, story, lines } = told()
    for (let tried = 0; tried < 5; tried++) {
      fails(3)
      await pass(60 * second)
    }
    lines()
    story.handled(key(3), chunk(1, 8n, 20n))
    story.handled(key(3), chunk(1, 9n, 20n))
    await pass(second)
    expect(lines()).toEqual(['info: recovered after 5 tries, 5 min: orders[3]'])
    fails(3)
    expect(lines()).toEqual([expect.stringContaining('warn: retrying: ')])
  })

  it('has not recovered by what came before the message that it failed at', async () => {
    const { fails, story, lines } = told()
    fails(3)
    lines()
    story.handled(key(3), chunk(1, 7n, 20n))
    await pass(second)
    expect(lines()).toEqual([])
  })

  it("is told with its place, where the error is Tidemark's own", () => {
    const { story, lines } = told()
    story.failed(key(3), new TidemarkError('UNREACHABLE', 'Postgres at db:5432 is away'), at)
    expect(lines()).toEqual(['warn: retrying: orders[3]: Postgres at db:5432 is away'])
  })

  it('together with many others, for the same kind of reason, is one of a few lines', async () => {
    const { fails, story, lines } = told()
    for (let partition = 0; partition < 40; partition++) fails(partition)
    await pass(second)
    const said = lines()
    expect(said).toHaveLength(4)
    expect(said.at(-1)).toBe('warn: retrying as well, after errors of the same kind: partitions 3 to 39')
    for (let partition = 0; partition < 40; partition++) story.handled(key(partition), chunk(1, 8n, 8n))
    await pass(second)
    expect(lines()).toEqual(['info: recovered after 1 try, 1 s at the most: partitions 0 to 39'])
  })
})

describe("under errors: 'private'", () => {
  it('an error that comes again has the ID that the log has already; another one is written there', () => {
    const { fails, log } = told('private')
    fails(3, new Error('no customer 4711'))
    fails(3, new Error('no customer 4711'))
    fails(3, new Error('no customer 4712'))
    expect(log.lines).toHaveLength(2)
    expect(log.lines[0]!.message).not.toContain('4711')
    expect(log.lines.map(({ fields }) => fields)).toMatchObject([
      { error: { message: 'no customer 4711' } },
      { error: { message: 'no customer 4712' } },
    ])
    const ids = log.lines.map(({ fields, message }) => {
      const { errorId } = fields as { errorId: string }
      expect(message).toContain(errorId)
      return errorId
    })
    expect(new Set(ids).size).toBe(2)
  })
})

describe('a partition that is blocked', () => {
  const event = { ...key(3), offset: 7n, code: 'UNDECODABLE', message: 'orders[3] offset 7 is no order' } as const

  it('is an error with the whole reason and the place in the decoder, once per block', async () => {
    const { story, log, failure, heard } = told()
    const error = failure(3)
    story.blocked(event, error)
    story.blocked(event, error)
    expect(log.lines).toMatchObject([
      {
        level: 'error',
        message: 'blocked: orders[3] offset 7 is no order',
        fields: { ...key(3), offset: '7', code: 'UNDECODABLE', error: { class: 'TypeError' } },
      },
    ])
    expect((log.lines[0]!.fields as { at: string[] }).at[0]).toContain('story.test.ts')
    expect(heard).toEqual(['blocked', 'blocked'])
    await pass(10 * minute)
    story.blocked(event, error)
    expect(log.lines).toHaveLength(2)
  })

  it('is named once, by its reason or in front of it', () => {
    const { story, lines } = told()
    story.blocked(event)
    story.blocked({ ...event, offset: 8n, message: 'it is no order' })
    expect(lines()).toEqual([
      'error: blocked: orders[3] offset 7 is no order',
      'error: blocked: orders[3]: it is no order',
    ])
  })
})

describe('the partitions of a worker', () => {
  it('are told when they are taken, in one line for many', async () => {
    const { story, lines, log } = told()
    story.began([batch(0), batch(2)])
    story.began([batch(1), batch(9)])
    await pass(second)
    expect(log.lines[0]!.fields).toEqual({ ...name, partitions: '0 to 2, 9' })
    expect(lines()).toEqual(['info: took partitions 0 to 2, 9; holds 4'])
  })

  it('are not told between two batches, however many', async () => {
    const { story, lines } = told()
    for (let count = 0; count < 20; count++) {
      story.began([batch(0), batch(1)])
      await pass(10 * second)
      story.left(0, 'more')
      story.left(1, 'more')
      await pass(4 * second)
    }
    expect(lines()).toEqual(['info: took partitions 0, 1; holds 2'])
  })

  it('are told as given away once no batch here has had them for five seconds', async () => {
    const { story, lines } = told()
    story.began([batch(0), batch(1), batch(2)])
    await pass(second)
    lines()
    for (const partition of [1, 2]) story.left(partition, 'released')
    await pass(4 * second)
    expect(lines()).toEqual([])
    await pass(2 * second)
    expect(lines()).toEqual(['info: gave away partitions 1, 2; holds 1'])
  })

  it('stay its own between two tries, and while they rest', async () => {
    const { story, lines } = told()
    story.began([batch(0), batch(1)])
    await pass(second)
    lines()
    story.left(0, null)
    story.left(1, 'rest')
    await pass(minute)
    story.began([batch(0), batch(1)])
    await pass(minute)
    expect(lines()).toEqual([])
  })

  it('are told to continue from another position after a reset', async () => {
    const { story, lines } = told()
    story.began([batch(0), batch(4)])
    await pass(second)
    lines()
    story.left(4, 'reopen')
    story.began([batch(4, 1, '13')])
    await pass(second)
    expect(lines()).toEqual(['info: reset: orders[4] goes on at 13'])
  })

  it('are told as handed over at its end', async () => {
    const { story, lines } = told()
    story.began([batch(0), batch(1)])
    await pass(second)
    lines()
    story.left(0, 'released')
    story.end()
    expect(lines()).toEqual(['info: handed over partitions 0, 1'])
  })

  it('that catch up together are one line, and each is told now and then at the most', async () => {
    const { story, lines, heard } = told()
    for (let round = 0; round < 5; round++) {
      for (const partition of [1, 0]) story.caughtUp({ ...key(partition), position: 5n })
      await pass(minute)
    }
    expect(lines()).toEqual(['info: caught up: partitions 0, 1'])
    expect(heard).toHaveLength(10)
  })
})

it('once a minute, what was handled is one line, with rate, failures, partitions and lag', async () => {
  const { story, fails, lines, log } = told()
  story.begin()
  story.began([batch(0), batch(1)])
  story.handled(key(0), chunk(60, 60n, 100n))
  story.handled(key(1), chunk(30, 30n, 30n))
  fails(1)
  await pass(2 * second)
  lines()
  await pass(58 * second)
  expect(log.lines[0]!.fields).toEqual({
    ...name,
    messages: 90,
    perSecond: 1.5,
    failures: 1,
    held: 2,
    lag: '40',
  })
  expect(lines()).toEqual([
    'info: the last minute of billing on orders: 90 messages (1.5/s), 1 failure, 2 partitions, lag 40',
  ])
  await pass(60 * second)
  expect(lines()).toEqual([
    'info: the last minute of billing on orders: 0 messages (0/s), 0 failures, 2 partitions, lag 40',
  ])
  story.end()
  lines()
  await pass(60 * second)
  expect(lines()).toEqual([])
})

it('a minute in which nothing was handled, failed or held is not mentioned', async () => {
  const { story, lines } = told()
  story.begin()
  await pass(120 * second)
  expect(lines()).toEqual([])
  story.end()
})
