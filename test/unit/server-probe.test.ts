import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ServerProbe } from '../../src/postgres/client/server-probe.js'
import { virtualTime, working } from '../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass } = virtualTime

/** A server that answers as `answer` says. */
function ground(answer: () => Promise<unknown>) {
  const asked: number[] = []
  const began = performance.now()
  const query = async () => {
    asked.push(performance.now() - began)
    await answer()
    return { rows: [] }
  }
  return { probe: new ServerProbe({ query } as never), asked }
}

const outcomeOf = (work: Promise<unknown>) => {
  const seen: { outcome?: unknown; at?: number } = {}
  const note = (outcome: unknown) => Object.assign(seen, { outcome, at: performance.now() })
  work.then(note, note)
  return seen
}
const never = () => new Promise<never>(() => {})

describe('while a transaction is open, the server', () => {
  it('that does not answer ends it within 30 s', async () => {
    const { probe } = ground(never)
    const began = performance.now()
    const seen = outcomeOf(probe.during(never()))
    await pass(30_000)
    expect(seen.outcome).toMatchObject({ code: 'ETIMEDOUT', message: 'Postgres did not answer for 12 s' })
    expect(seen.at! - began).toBeLessThan(25_000)
  })

  it('that answers may take as long as it likes for the statement itself', async () => {
    const { probe, asked } = ground(async () => {})
    const seen = outcomeOf(probe.during(working(3_600_000).then(() => 'done')))
    await pass(3_600_000)
    expect(seen.outcome).toBe('done')
    expect(asked.length).toBeGreaterThan(100)
  })

  it('is forgiven one answer that does not come', async () => {
    let questions = 0
    const { probe } = ground(() => (++questions === 1 ? never() : Promise.resolve()))
    const seen = outcomeOf(probe.during(working(60_000).then(() => 'done')))
    await pass(60_000)
    expect(seen.outcome).toBe('done')
  })

  it('that refuses answers, and one that has no room for another connection, too', async () => {
    for (const code of ['42501', '53300']) {
      const { probe } = ground(() => Promise.reject(Object.assign(new Error('no'), { code })))
      const seen = outcomeOf(probe.during(working(60_000).then(() => 'done')))
      await pass(60_000)
      expect(seen.outcome).toBe('done')
    }
  })

  it('is not asked for transactions that take no time, nor once the last one is over', async () => {
    const { probe, asked } = ground(async () => {})
    for (let i = 0; i < 100; i++) {
      const seen = outcomeOf(probe.during(working(500).then(() => 'done')))
      await pass(500)
      expect(seen.outcome).toBe('done')
    }
    expect([asked.length, vi.getTimerCount()]).toEqual([0, 0])
  })
})
