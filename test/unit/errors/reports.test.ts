import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ErrorReports } from '../../../activities/errors/reports.js'
import { TidemarkError, UserFailure } from '../../../src/model/errors.js'
import type { ErrorTexts } from '../../../src/model/settings.js'
import { silentLog } from '../../support/silent-log.js'

const place = { group: 'billing', stream: 'orders', partition: 3, offset: '7' }

function setUp(errors: ErrorTexts, secrets: readonly string[] = []) {
  const log = silentLog()
  const reports = new ErrorReports({ group: 'billing', stream: 'orders', errors }, secrets, log)
  const failed = (thrown: unknown) => {
    const what = 'the handler failed at orders[3] offset 7'
    const error = reports.failed(new UserFailure('HANDLER_FAILED', { what, thrown, place }))
    reports.reason(error, place)
    return error
  }
  return { reports, failed, log, line: () => log.lines.at(-1)! }
}

const databaseError = () => {
  class DatabaseError extends Error {
    override readonly name = 'error'
    readonly code = '22P02'
    readonly detail = 'Failing row contains (SENTINEL)'
  }
  return new DatabaseError('invalid input syntax for type integer: "x"')
}

describe("under errors: 'message'", () => {
  it.each<[string, () => unknown, string]>([
    [
      'class, code and message',
      databaseError,
      'DatabaseError (code 22P02): invalid input syntax for type integer: "x"',
    ],
    ['a code without a class', () => Object.assign(new Error('no'), { code: 'E_STOCK' }), 'Error (code E_STOCK): no'],
    ['the message alone', () => new Error('no rows'), 'no rows'],
    ['that there is none', () => new TypeError(), 'TypeError, without a message'],
    ['what Tidemark itself has thrown', () => new TidemarkError('CONFIG_INVALID', 'outbox needs'), 'outbox needs'],
  ])('a failure shows %s', (_, make, text) => {
    const { failed } = setUp('message')
    expect(failed(make())).toMatchObject({ message: `the handler failed at orders[3] offset 7: ${text}`, place })
  })

  it('a message of any length is cut to 1,000 characters', () => {
    const { failed } = setUp('message')
    const { message } = failed(new Error('x'.repeat(5_000_000)))
    expect(message.length - 'the handler failed at orders[3] offset 7: '.length).toBe(1_000)
  })

  it('the log has the beginning of it, the class, the frames, and the causes', () => {
    const { failed, line } = setUp('message')
    const inner = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    failed(new TypeError('x'.repeat(2_000), { cause: new Error('no rates', { cause: inner }) }))
    const cause = [
      { class: 'Error', message: 'no rates', at: [expect.stringContaining('reports.test.ts'), expect.anything()] },
      { class: 'Error', message: 'refused', code: 'ECONNREFUSED' },
    ].map(({ at: _, ...one }) => expect.objectContaining(one))
    expect(line().fields).toMatchObject({ error: { class: 'TypeError', message: 'x'.repeat(2_000) }, cause })
    expect((line().fields as { at: string[] }).at[0]).toContain('reports.test.ts')
  })

  it('the log survives causes that go round in a circle, and many of them', () => {
    const { failed, line } = setUp('message')
    const error = new AggregateError([], 'several')
    error.errors.push(error, ...Array.from({ length: 1_000 }, (_, index) => new Error(`no ${index}`)))
    error.cause = error
    failed(error)
    expect((line().fields as { cause: object[] }).cause).toHaveLength(4)
    let chain = new Error('first')
    for (let index = 0; index < 1_000; index++) chain = new Error('next', { cause: chain })
    failed(chain)
    expect((line().fields as { cause: object[] }).cause).toHaveLength(8)
  })

  it('no text and no line of the log has a secret of the config', () => {
    const { failed, line } = setUp('message', ['hunter2'])
    const error = Object.assign(new Error('login hunter2', { cause: new Error('hunter2') }), { code: 'hunter2' })
    expect(failed(error).message).toContain('login [removed]')
    expect(JSON.stringify(line())).not.toContain('hunter2')
  })
})

describe("under errors: 'private'", () => {
  it('a failure shows class, code and an ID, and the log has the rest under that ID', () => {
    const { failed, line } = setUp('private')
    const { message } = failed(databaseError())
    const pattern =
      /^the handler failed at orders\[3\] offset 7: DatabaseError \(code 22P02\), error id ([0-9a-f]{8}): see the worker's log$/
    expect(message).toMatch(pattern)
    expect(line()).toMatchObject({
      message,
      fields: {
        errorId: pattern.exec(message)![1],
        error: { class: 'DatabaseError', code: '22P02', message: 'invalid input syntax for type integer: "x"' },
      },
    })
  })

  it.each<[string, () => unknown, string]>([
    ['a name with data', () => Object.assign(new Error('no'), { name: 'SENTINEL' }), 'Error'],
    ['a code with data', () => Object.assign(new TypeError('no'), { code: 'SENTINEL-1' }), 'TypeError'],
    ['data in upper case as code', () => Object.assign(new TypeError('no'), { code: 'SENTINEL' }), 'TypeError'],
    ['a number as code', () => Object.assign(new TypeError('no'), { code: 4711 }), 'TypeError'],
    ['text', () => 'SENTINEL', 'it threw text'],
    ['a number', () => 4711, 'it threw a number'],
    ['a symbol', () => Symbol('SENTINEL'), 'it threw a symbol'],
    ['an object', () => ({ message: 'SENTINEL' }), 'it threw an object'],
    ['what looks like an error of Tidemark', () => tidemarkLike(), 'Error'],
  ])('a failure shows no part of %s', (_, make, shown) => {
    const { message } = setUp('private').failed(make())
    expect(message).toMatch(new RegExp(`orders\\[3\\] offset 7: ${shown}, error id [0-9a-f]{8}: see the worker's log$`))
    expect(message).not.toMatch(/SENTINEL|4711/)
  })

  it('an error that nobody expected shows as little, and its text is in the log', () => {
    const { reports, line } = setUp('private')
    expect(reports.reason(databaseError(), place)).toMatch(/^DatabaseError \(code 22P02\), error id /)
    expect(line().fields).toMatchObject({ error: { message: 'invalid input syntax for type integer: "x"' } })
  })

  it("Tidemark's own texts stand as they are", () => {
    const { reports, log } = setUp('private', ['hunter2'])
    const error = new TidemarkError('UNREACHABLE', 'Kafka at broker:9092 (hunter2)')
    expect(reports.reason(error, place)).toBe('Kafka at broker:9092 ([removed])')
    expect(log.lines).toEqual([])
  })
})

it('no size of an error takes long', () => {
  const huge: [string, () => unknown][] = [
    ['5 MB of text', () => new Error('x'.repeat(5_000_000))],
    [
      '10,000 rows',
      () => z.array(z.object({ n: z.number() })).safeParse(Array.from({ length: 10_000 }, () => ({}))).error,
    ],
    ['10,000 errors', () => new AggregateError(Array.from({ length: 10_000 }, () => new Error('x'.repeat(1_000))))],
    ['a huge cause', () => new Error('no', { cause: new Error('://'.repeat(2_000_000)) })],
    ['a huge number', () => 1n << 10_000_000n],
  ]
  for (const errors of ['message', 'private'] as const)
    for (const [what, make] of huge) {
      const { failed } = setUp(errors, ['hunter2'])
      const error = make()
      // CPU time: other tests run beside this one.
      const begun = process.cpuUsage()
      failed(error)
      expect(process.cpuUsage(begun).user / 1_000, `${what}, ms`).toBeLessThan(50)
    }
})

function tidemarkLike() {
  return Object.assign(new Error('SENTINEL'), { name: 'TidemarkError', code: 'SENTINEL', effect: 'lost' })
}
