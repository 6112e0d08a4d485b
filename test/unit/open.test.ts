import { MockActivityEnvironment } from '@temporalio/testing'
import { describe, expect, it, vi } from 'vitest'
import { createOpen } from '../../activities/open.js'
import { batchGround, name } from '../support/batch-ground.js'

/** The activity, on a stream of so many partitions. */
async function ground(partitions: number) {
  const { runtime, log } = await batchGround()
  const indexes = Array.from({ length: partitions }, (_, index) => index)
  for (const index of indexes) log.append(index)
  const open = () =>
    new MockActivityEnvironment().run(() =>
      createOpen(runtime)({ name, partitions: indexes.map((partition) => ({ partition, above: 0 })) }),
    )
  return { runtime, open }
}

describe('to open many partitions', () => {
  it('reads the offsets of the group once', async () => {
    const { runtime, open } = await ground(3)
    const read = vi.spyOn(runtime.store, 'read')
    expect(await open()).toMatchObject([0, 1, 2].map((partition) => ({ partition, outcome: 'owned', epoch: 1 })))
    expect(read).toHaveBeenCalledTimes(1)
  })

  it('asks for all their identities at the same time, which a source answers with one request', async () => {
    const { runtime, open } = await ground(3)
    let asked = 0
    const askedByThen: number[] = []
    vi.spyOn(runtime.source, 'identity').mockImplementation(async () => {
      asked++
      await new Promise(setImmediate)
      askedByThen.push(asked)
      return 'orders 1'
    })
    expect(await open()).toMatchObject([{ identity: 'orders 1' }, { identity: 'orders 1' }, { identity: 'orders 1' }])
    expect(askedByThen).toEqual([3, 3, 3])
  })

  it('fails as a whole where the offsets cannot be read, so that it is tried again', async () => {
    const { runtime, open } = await ground(2)
    vi.spyOn(runtime.store, 'read').mockRejectedValue(new Error('connection lost'))
    await expect(open()).rejects.toThrow('connection lost')
  })
})
