import { ActivityCancellationDetails } from '@temporalio/common'
import { MockActivityEnvironment } from '@temporalio/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createProcess } from '../../../activities/process.js'
import type { WorkflowLook } from '../../../activities/runtime.js'
import type { BatchResult } from '../../../src/model/batch.js'
import { batchGround, byPartition, name } from '../../support/batch-ground.js'
import { running } from '../../support/fake-cluster.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const noHeartbeatGotThrough = new ActivityCancellationDetails({ timedOut: true })
const endedByItsSlice = new ActivityCancellationDetails({ cancelRequested: true })

/** The activity of a batch of partitions 0 and 1, while messages keep coming to both. A test may change what Temporal answers. */
async function activity({ attempt = 1, memo = {} }: { attempt?: number; memo?: WorkflowLook['memo'] } = {}) {
  const ground = await batchGround({ batch: { maxDurationMs: 5_000 } })
  const temporal = { answers: true }
  ground.runtime.cluster.look = async () => {
    if (!temporal.answers) throw new Error('connection refused')
    return { ...running, memo }
  }
  const partitions = await ground.own({ 0: 1, 1: 1 })
  const environment = new MockActivityEnvironment({ attempt, activityId: 'shared/0/1/1' })
  const run = async (): Promise<BatchResult> =>
    environment.run(createProcess(ground.runtime), { name, slice: 0, partitions, mayLeave: 4 })
  const result = run()
  result.catch(() => {})
  const producer = setInterval(() => {
    for (const partition of [0, 1]) ground.log.append(partition)
  }, 100)
  const ended = () => until(result).finally(() => clearInterval(producer))
  const last = () => Math.max(...ground.handled(0).flat())
  return { ...ground, temporal, environment, ended, last }
}

describe('the activity of a batch', () => {
  it('does not end for a cancellation that only says that no heartbeat gets through', async () => {
    const { temporal, environment, ended, last } = await activity()
    await pass(1_000)
    temporal.answers = false
    environment.cancel('TIMED_OUT', noHeartbeatGotThrough)
    const before = last()
    await pass(30_000)
    expect(last()).toBeGreaterThan(before + 250)
    temporal.answers = true
    const back = performance.now()
    expect(byPartition(await ended())[0]).toMatchObject({ end: 'released' })
    expect(performance.now() - back).toBeLessThan(1_500)
  })

  it('ends for any other cancellation, though Temporal does not answer', async () => {
    const { temporal, environment, ended, last } = await activity()
    await pass(1_000)
    temporal.answers = false
    environment.cancel('CANCELLED', endedByItsSlice)
    const before = last()
    expect(byPartition(await ended())[0]).toMatchObject({ end: 'released' })
    expect(last()).toBeLessThanOrEqual(before + 1)
  })

  it('ends when its worker drains, though Temporal does not answer', async () => {
    const { temporal, draining, ended } = await activity()
    temporal.answers = false
    await pass(6_000)
    draining.abort()
    expect(byPartition(await ended())[0]).toMatchObject({ end: 'released' })
  })

  it('stays open when Temporal stops answering just before it is to close', async () => {
    const { temporal, ended, last } = await activity()
    // After its last look, and before its five seconds are over.
    await pass(4_500)
    temporal.answers = false
    await pass(20_000)
    expect(last()).toBeGreaterThan(220)
    temporal.answers = true
    expect(byPartition(await ended())[0]).toMatchObject({ end: 'more' })
  })

  it('leaves alone what an earlier try was asked to let go of', async () => {
    const { handled, ended } = await activity({ attempt: 2, memo: { letGo: { '0': [1, 1] } } })
    const outcomes = byPartition(await ended())
    expect(handled(0)).toEqual([])
    expect(handled(1).flat().length).toBeGreaterThan(40)
    expect(outcomes).toMatchObject({ 0: { end: 'released', to: '0' }, 1: { end: 'more' } })
  })
})
