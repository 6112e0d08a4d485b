import { MockActivityEnvironment } from '@temporalio/testing'
import { describe, expect, it } from 'vitest'
import { createReslice } from '../../activities/reslice.js'
import type { ResliceInput } from '../../src/model/batch.js'
import { batchGround, name } from '../support/batch-ground.js'

async function ground() {
  const { runtime, log } = await batchGround()
  for (const partition of [0, 1, 2]) log.append(partition)
  const { records } = runtime
  const reslice = (change: Partial<ResliceInput> = {}) =>
    new MockActivityEnvironment().run(
      createReslice(runtime),
      Object.assign({ name, from: 1, slices: 3, by: 'ann@host', reason: 'a fix' }, change),
    )
  return { records, reslice, initial: { slices: 2, partitions: [0, 1, 2] } }
}

describe('to write another number of slices down', () => {
  it('begins the next generation', async () => {
    const { records, reslice, initial } = await ground()
    await records.ensure(name, initial)
    expect(await reslice()).toEqual({ slices: 3, generation: 2 })
    expect(await records.read(name)).toMatchObject({ slices: 3, generation: 2 })
  })

  it('happens once when its answer was lost and it is tried again', async () => {
    const { records, reslice, initial } = await ground()
    await records.ensure(name, initial)
    expect(await reslice()).toEqual(await reslice())
    expect(await records.read(name)).toMatchObject({ slices: 3, generation: 2 })
  })

  it('says what another person was first to write, and leaves it', async () => {
    const { records, reslice, initial } = await ground()
    await records.ensure(name, initial)
    await records.reslice(name, { from: 1, slices: 5, by: 'bob@host', why: '' })
    expect(await reslice()).toEqual({ slices: 5, generation: 2 })
    expect(await records.read(name)).toMatchObject({ slices: 5, generation: 2 })
  })

  it('creates a record that was lost with its database', async () => {
    const { records, reslice } = await ground()
    expect(await reslice({ from: 4 })).toEqual({ slices: 3, generation: 1 })
    expect(await records.read(name)).toMatchObject({ slices: 3, partitions: [0, 1, 2] })
  })
})
