import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { batchGround } from '../../support/batch-ground.js'
import { collectGarbage } from '../../support/garbage.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)

it('keeps no message in memory while its partition waits for the next one', async () => {
  const handed: WeakRef<object>[] = []
  const { begin, own, draining } = await batchGround({
    handle: (messages) => {
      for (const message of messages) handed.push(new WeakRef(message))
    },
  })
  const { batch, result } = begin(await own({ 0: 25, 1: 3 }))
  await virtualTime.pass(1_000)
  expect(handed).toHaveLength(28)
  collectGarbage()
  expect(handed.filter((message) => message.deref() !== undefined)).toHaveLength(0)
  batch.end()
  await virtualTime.until(result)
  draining.abort()
})
