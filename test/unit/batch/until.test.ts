import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Until } from '../../../src/handlers/until.js'
import { batchGround, name } from '../../support/batch-ground.js'
import { claimFrom } from '../../support/claim.js'
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

it('a run that was over already is noticed by a value that its decoder gives later', async () => {
  const { begin, own, log, runtime, handled } = await batchGround({ until: ({ value }) => value === 'last' })
  const [batch] = await own({ 0: 5 })
  const earlier = { epoch: 1, batch: 1, attempt: 1 }
  await claimFrom(runtime.progress, { ...name, partition: 0 }, earlier, { from: 0n, replay: 0 })
  await runtime.progress.advance({ ...name, partition: 0 }, earlier, 0n, 3n)
  log.decodes(0, async ({ messages, ...chunk }) => ({ ...chunk, messages: [{ ...messages[0]!, value: 'last' }] }))
  const { result } = begin([{ ...batch!, run: { until: 'message', began: '0', replay: 0 } }], { attempt: 2 })
  expect((await virtualTime.until(result)).partitions).toMatchObject([{ end: 'finished', to: '3' }])
  expect([handled(0), log.lent]).toEqual([[], 0])
})
