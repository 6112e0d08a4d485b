import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Until } from '../../../src/handlers/until.js'
import { batchGround } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)

it.each<[string, () => unknown]>([
  ['a promise', () => Promise.resolve(false)],
  ['a promise that fails', () => Promise.reject(new Error('no'))],
  ['something like a promise', () => Object.assign(() => {}, Object.fromEntries([['then', () => {}]]))],
])('an end that is %s stops the partition in front of the message, instead of ending the run', async (_, until) => {
  const { begin, own, handled } = await batchGround({ until: until as unknown as Until })
  const { result } = begin(await own({ 0: 3 }))
  const [outcome] = (await virtualTime.until(result)).partitions
  expect(outcome).toMatchObject({ end: 'blocked', to: '0' })
  expect(Reflect.get(outcome!, 'reason')).toContain(
    "'until' of group billing returned a promise at orders[0] offset 0; it must return true or false at once",
  )
  expect(handled(0)).toEqual([])
})
