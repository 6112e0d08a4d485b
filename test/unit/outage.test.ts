import { beforeEach, describe, expect, it } from 'vitest'
import { TidemarkError } from '../../src/model/errors.js'
import { Outage } from '../../src/reading/outage.js'
import { silentLog } from '../support/silent-log.js'

const { signal } = new AbortController()
const lost = (message: string) => Object.assign(new Error(message), { code: 'ECONNREFUSED' })

describe('an outage', () => {
  let now: number
  let log: ReturnType<typeof silentLog>
  let outage: Outage

  beforeEach(() => {
    now = 0
    log = silentLog()
    outage = new Outage(log, { stream: 'orders' }, 'reading orders[3]', { now: () => now })
  })
  const said = () => log.lines.map(({ level, message }) => `${level}: ${message}`)

  it('is logged with its first failure, and not with those that follow within a minute', () => {
    outage.failed(lost('port 1'))
    now = 59_999
    outage.failed(lost('port 2'))
    expect(log.lines).toEqual([
      {
        level: 'warn',
        fields: { stream: 'orders', error: 'port 1' },
        message: 'reading orders[3] is interrupted; trying again',
      },
    ])
  })

  it('is logged once a minute while it lasts', () => {
    for (now = 0; now <= 150_000; now += 1_000) outage.failed(lost('gone'))
    expect(said()).toEqual([
      'warn: reading orders[3] is interrupted; trying again',
      'warn: reading orders[3] is interrupted for 60 s; trying again',
      'warn: reading orders[3] is interrupted for 120 s; trying again',
    ])
    expect(log.lines[1]!.fields).toMatchObject({ failures: 61 })
  })

  it('is logged at once when its cause changes, and not each time that it changes back', () => {
    outage.failed(lost('gone'))
    outage.failed(new TidemarkError('AUTH_FAILED', 'wrong password'))
    outage.failed(lost('gone'))
    outage.failed(new TidemarkError('AUTH_FAILED', 'wrong password'))
    expect(log.lines.map(({ fields }) => fields)).toMatchObject([{ error: 'gone' }, { error: 'wrong password' }])
  })

  it('is logged when it is over, once', () => {
    outage.failed(lost('gone'))
    outage.failed(lost('gone'))
    outage.worked()
    outage.worked()
    expect(said().slice(1)).toEqual(['info: reading orders[3] goes on'])
    expect(log.lines[1]!.fields).toEqual({ stream: 'orders', failures: 2 })
  })

  it('that never began is not logged', () => {
    outage.worked()
    expect(log.lines).toEqual([])
  })

  it('that begins again is logged again', () => {
    outage.failed(lost('gone'))
    outage.worked()
    outage.failed(lost('gone'))
    expect(said()).toHaveLength(3)
  })

  it('says where a failure was, and what people should know about it', () => {
    new Outage(log, {}, 'mirroring', { note: 'Nothing is lost' }).failed(lost('gone'), { partition: 3 })
    expect(log.lines).toEqual([
      {
        level: 'warn',
        fields: { partition: 3, error: 'gone' },
        message: 'mirroring is interrupted; trying again. Nothing is lost',
      },
    ])
  })

  it('hands out pauses that grow to three seconds, and begin anew when it is over', () => {
    const pauses = Array.from({ length: 40 }, () => outage.failed(lost('gone')))
    expect(pauses[0]).toBeLessThanOrEqual(50)
    expect(pauses[0]).toBeGreaterThanOrEqual(25)
    for (const ms of pauses.slice(8)) {
      expect(ms).toBeGreaterThanOrEqual(1_500)
      expect(ms).toBeLessThanOrEqual(3_000)
    }
    outage.worked()
    expect(outage.failed(lost('gone'))).toBeLessThanOrEqual(50)
  })

  it('waits before the next try, and no longer than until the signal aborts', async () => {
    for (let i = 0; i < 20; i++) outage.failed(lost('gone'))
    const ended = new AbortController()
    const waiting = outage.pause(lost('gone'), ended.signal)
    ended.abort()
    await waiting
    outage.worked()
    await outage.pause(lost('gone'), signal)
    expect(outage.interrupted).toBe(true)
  })
})
