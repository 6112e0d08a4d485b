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
  return { runtime, open, log }
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

  it('leaves those alone that a person has paused: a slice that was set back with Temporal does not know', async () => {
    const { runtime, open } = await ground(2)
    await runtime.records.ensure(name, { slices: 1, partitions: [0, 1] })
    await runtime.records.pause(name, { by: 'anna', why: 'a look', partitions: [1] })
    expect(await open()).toMatchObject([
      { partition: 0, outcome: 'owned' },
      { partition: 1, outcome: 'paused', note: { by: 'anna', reason: 'a look' } },
    ])
    expect(await runtime.store.read(name.group, name.stream)).toHaveLength(1)
  })

  it('fails as a whole where the offsets cannot be read, so that it is tried again', async () => {
    const { runtime, open } = await ground(2)
    vi.spyOn(runtime.store, 'read').mockRejectedValue(new Error('connection lost'))
    await expect(open()).rejects.toThrow('connection lost')
  })
})

describe('to open a partition whose position the log has lost', () => {
  it('puts back no newer owner: the worker may have been frozen since it read the position', async () => {
    const { runtime, open, log } = await ground(1)
    const of = { ...name, partition: 0 }
    const settings = { ...runtime.settings, outOfRange: 'first' as const }
    Object.assign(runtime, { settings })
    await runtime.progress.begin(of, { position: 100n, replay: 0, identity: null })
    const seen = await runtime.store.open(of, { above: 0, start: 100n })
    vi.spyOn(runtime.source, 'resolve').mockImplementation(async () => {
      // Meanwhile another worker has opened the partition, and come far.
      log.append(0, 10_000)
      const { epoch } = await runtime.store.open(of, { above: seen.epoch, start: 0n })
      const token = { epoch, batch: 1, attempt: 1 }
      await runtime.progress.claim(of, token, { from: 100n, replay: 0 })
      await runtime.progress.advance(of, token, 100n, 9_000n)
      await runtime.store.commit(of, { epoch, position: 9_000n })
      return 0n
    })
    expect(await open()).toMatchObject([{ outcome: 'owned', position: '9000' }])
    expect(await runtime.store.read(name.group, name.stream)).toMatchObject([{ position: 9_000n, replay: 0 }])
  })
})

describe("to open a partition whose handlers' database was set back to before a reset", () => {
  it('finds where the reset has put it, however often it was paused since', async () => {
    const { runtime, open, log } = await ground(1)
    const of = { ...name, partition: 0 }
    log.append(0, 9)
    await runtime.progress.begin(of, { position: 9n, replay: 0, identity: null })
    await runtime.store.reset(of, { kind: 'reset', to: 2n, by: 'ann', why: 'a test' })
    const { epoch } = await runtime.store.open(of, { above: 0, start: 0n })
    await runtime.store.commit(of, { epoch, position: 7n })
    const [reset] = await runtime.store.history({ limit: 1 })
    const pauses = Array.from({ length: 100 }, () => ({ ...reset!, kind: 'paused' as const, to: null }))
    vi.spyOn(runtime.store, 'history').mockImplementation(async ({ limit }) => [...pauses, reset!].slice(0, limit))
    expect(await open()).toMatchObject([{ outcome: 'owned', position: '2', replay: 1 }])
  })
})
