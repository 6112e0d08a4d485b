import { MockActivityEnvironment } from '@temporalio/testing'
import { describe, expect, it } from 'vitest'
import { createRaise } from '../../activities/commit.js'
import { batchGround, byPartition, name } from '../support/batch-ground.js'
import { waitFor } from '../support/wait-for.js'

describe('after the tokens of a batch were raised', () => {
  it('no worker that has it still handles anything of it, and the next batch begins where it came', async () => {
    let goOn = () => {}
    const cutOff = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const { runtime, own, begin, handled, log } = await batchGround({ handle: () => cutOff })
    const [batch] = await own({ 0: 3 })
    const { result } = begin([batch!])
    await waitFor(() => handled(0).length === 1, { what: 'a chunk in hand' })
    const raise = createRaise(runtime)
    await new MockActivityEnvironment().run(() => raise({ name, partitions: [batch!] }))
    log.append(0)
    goOn()
    expect(byPartition(await result)[0]).toMatchObject({ end: 'released', to: '0', messages: 0 })
    // Nor does a later try of the batch that comes out of nowhere.
    const again = begin([batch!], { attempt: 99 })
    expect(byPartition(await again.result)[0]).toMatchObject({ end: 'released', messages: 0 })
    expect(handled(0)).toEqual([[0, 1, 2]])
    const next = begin([{ ...batch!, batch: 2 }])
    await waitFor(() => handled(0).length === 2, { what: 'the chunk of the next batch' })
    expect(handled(0)[1]).toEqual([0, 1, 2, 3])
    next.batch.end()
    await next.result
  })
})
