import { MockActivityEnvironment } from '@temporalio/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createCommit } from '../../../activities/commit.js'
import { createOpen } from '../../../activities/open.js'
import { TidemarkError } from '../../../src/model/errors.js'
import { fenced } from '../../../src/model/fenced.js'
import { batchGround, name } from '../../support/batch-ground.js'
import { claimFrom } from '../../support/claim.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass } = virtualTime

const key = { ...name, partition: 0 }

describe('a worker is told', () => {
  it('once that a partition with a backlog has reached the head, also across batches', async () => {
    const { begin, own, observed, log } = await batchGround({ batch: { maxMessages: 20 } })
    const [only] = await own({ 0: 25 })
    begin([only!])
    await pass(1)
    expect(observed.caughtUp).toEqual([])
    begin([{ ...only!, from: '20', batch: 2 }])
    await pass(1)
    log.append(0)
    await pass(1)
    expect(observed.caughtUp).toEqual([{ ...key, position: 25n }])
  })

  it('of each chunk before and after its handler, and of the commit', async () => {
    const { begin, own, work } = await batchGround({ settings: { commit: { after: 'messages', messages: 20 } } })
    begin(await own({ 0: 20 }))
    await pass(1)
    expect(work).toEqual(['took 0', 'handled to 10', 'took 10', 'handled to 20', 'committed'])
  })

  it('that a partition is blocked, where it stands, and why', async () => {
    const { begin, own, log, observed } = await batchGround()
    log.poison(0, 2n, new TidemarkError('UNDECODABLE', 'no JSON'))
    begin(await own({ 0: 9, 1: 1 }))
    await pass(1)
    expect(observed.blocked).toEqual([{ ...key, offset: 2n, code: 'UNDECODABLE', message: 'no JSON' }])
  })

  it('that a partition was fenced, and by whom', async () => {
    const { begin, own, runtime, observed } = await batchGround()
    const owner = { epoch: 2, batch: 1, attempt: 1 }
    await claimFrom(runtime.progress, key, owner, { from: 0n, replay: 0 })
    begin(await own({ 0: 1, 1: 1 }))
    await pass(1)
    expect(observed.fenced).toMatchObject([{ ...key, owner }])
  })

  it('nothing of a partition that a later batch of the same owner has', async () => {
    const { begin, own, runtime, log, observed } = await batchGround()
    begin(await own({ 0: 1, 1: 1 }))
    await pass(1)
    await claimFrom(runtime.progress, key, { epoch: 1, batch: 2, attempt: 1 }, { from: 0n, replay: 0 })
    log.append(0)
    await pass(1)
    expect([observed.fenced, observed.blocked]).toEqual([[], []])
  })

  it('that the store refuses a commit of an owner that is not the newest', async () => {
    const { own, runtime, observed } = await batchGround()
    await own({ 0: 9 })
    vi.spyOn(runtime.store, 'commit').mockRejectedValue(fenced(key, { epoch: 1, batch: 1, attempt: 1 }))
    const partitions = [{ partition: 0, epoch: 1, replay: 0, position: '5' }]
    await new MockActivityEnvironment().run(() => createCommit(runtime)({ name, partitions }))
    expect(observed.fenced).toMatchObject([{ ...key, owner: null }])
  })

  it('that a partition can not be opened', async () => {
    const { runtime, log, observed } = await batchGround()
    log.append(0)
    vi.spyOn(runtime.source, 'resolve').mockRejectedValue(new TidemarkError('STREAM_NOT_FOUND', 'no such topic'))
    await new MockActivityEnvironment().run(() =>
      createOpen(runtime)({ name, partitions: [{ partition: 0, above: 0 }] }),
    )
    expect(observed.blocked).toEqual([{ ...key, offset: null, code: 'STREAM_NOT_FOUND', message: 'no such topic' }])
  })
})

describe('the log of a worker tells', () => {
  it('that a partition is blocked, with the whole reason, once', async () => {
    const { begin, own, log, lines } = await batchGround()
    log.poison(0, 2n, new TidemarkError('UNDECODABLE', 'no JSON'))
    begin(await own({ 0: 9, 1: 1 }))
    await pass(1)
    expect(lines).toMatchObject([
      { level: 'error', message: 'blocked: orders[0]: no JSON', fields: { ...key, offset: '2' } },
    ])
  })

  it('that a handler fails and is tried again, once, and that it has recovered', async () => {
    let left = 3
    const handle = () => {
      if (left-- > 0) throw new RangeError('no stock')
    }
    const { begin, own, lines } = await batchGround({ handle })
    const [only] = await own({ 0: 1 })
    for (let attempt = 1; attempt <= 4; attempt++) {
      begin([only!], { attempt })
      await pass(2_000)
    }
    expect(lines.map(({ message }) => message)).toEqual([
      'retrying: the handler of group billing failed at orders[0] offset 0: RangeError: no stock. Try 1',
      'took partition 0; holds 1',
      'recovered after 3 tries, 6 s: orders[0]',
      'caught up: orders[0] at 1',
    ])
  })
})
