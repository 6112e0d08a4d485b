import { MockActivityEnvironment } from '@temporalio/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createEnded } from '../../activities/ended.js'
import { sliceWorkflowId } from '../../src/model/partition.js'
import { batchGround, name } from '../support/batch-ground.js'
import { FakeCluster } from '../support/fake-cluster.js'
import { virtualTime } from '../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const id = (slice: number) => sliceWorkflowId(name, slice)

/** The activity while it waits for slices 0 and 1, of which a test says how they are. */
async function waiting(given: (cluster: FakeCluster) => void) {
  const { runtime, draining } = await batchGround()
  const cluster = new FakeCluster()
  Object.assign(runtime, { cluster })
  given(cluster)
  const run = async (): Promise<number[]> =>
    new MockActivityEnvironment().run(createEnded(runtime), { name, slices: [0, 1] })
  const result = run()
  const state = { waits: true }
  void result.finally(() => {
    state.waits = false
  })
  return { cluster, draining, result, state }
}
const bothWork = (cluster: FakeCluster) => {
  for (const slice of [0, 1]) cluster.working(id(slice))
}

describe('to wait until slices have ended', () => {
  it('takes as long as one of them runs', async () => {
    const { cluster, result, state } = await waiting(bothWork)
    await pass(1_000)
    cluster.ended(id(0), 'ended')
    await pass(1_000)
    expect(state.waits).toBe(true)
    cluster.ended(id(1), 'cancelled')
    expect(await until(result)).toEqual([])
  })

  it('says after a minute which ones still run', async () => {
    const { cluster, result, state } = await waiting(bothWork)
    cluster.ended(id(0), 'ended')
    await pass(59_500)
    expect(state.waits).toBe(true)
    expect(await until(result)).toEqual([1])
  })

  it('says so at once where its worker stops', async () => {
    const { draining, result, state } = await waiting(bothWork)
    await pass(1_000)
    expect(state.waits).toBe(true)
    draining.abort()
    expect(await until(result)).toEqual([0, 1])
  })

  it('ends what belongs to another build that has no worker left', async () => {
    const { cluster, result } = await waiting((given) => {
      given.working(id(0))
      given.working(id(1), {}, 'queue of another build')
      given.stranded.add(id(0)).add(id(1))
    })
    await pass(1_000)
    cluster.ended(id(0), 'ended')
    expect(await until(result)).toEqual([])
    // Not one of its own build, however long that has no worker.
    expect(cluster.signals).toEqual([`${id(1)}: ended for workflows`])
  })
})
