import { expect, it, vi } from 'vitest'
import { Listeners } from '../../src/worker/listeners.js'
import { silentLog } from '../support/silent-log.js'

const caughtUp = { group: 'bank', stream: 'orders', partition: 1, position: 7n }

it('tells each listener of its event, with what it is about', () => {
  const listeners = new Listeners(silentLog())
  const heard = vi.fn()
  listeners.add('caughtUp', heard)
  listeners.add('fenced', () => expect.unreachable())
  listeners.caughtUp(caughtUp)
  expect(heard.mock.calls).toEqual([[caughtUp]])
})

it('logs a listener that throws, and tells the others', () => {
  const log = silentLog()
  const listeners = new Listeners(log)
  const heard = vi.fn()
  listeners.add('caughtUp', () => {
    throw new Error('no such queue')
  })
  listeners.add('caughtUp', heard)
  listeners.caughtUp(caughtUp)
  expect(heard).toHaveBeenCalledOnce()
  expect(log.lines).toEqual([
    { level: 'error', fields: { error: 'no such queue' }, message: "a listener of the worker's 'caughtUp' has thrown" },
  ])
})

it('logs an async listener that rejects', async () => {
  const log = silentLog()
  const listeners = new Listeners(log)
  // A rejection that nobody handles would end the process, and fails this test.
  listeners.add('blocked', async () => {
    throw new Error('no such queue')
  })
  listeners.blocked({ group: 'bank', stream: 'orders', partition: 1, offset: 7n, code: 'UNDECODABLE', message: '' })
  await vi.waitFor(() =>
    expect(log.lines).toEqual([
      {
        level: 'error',
        fields: { error: 'no such queue' },
        message: "a listener of the worker's 'blocked' has rejected",
      },
    ]),
  )
})
