import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SliceWatch } from '../../../activities/polling/slice-watch.js'
import type { BatchTrouble } from '../../../src/model/batch.js'
import { name } from '../../support/batch-ground.js'
import { FakeCluster } from '../../support/fake-cluster.js'
import { FakeLog } from '../../support/fake-log.js'
import { silentLog } from '../../support/silent-log.js'

const id = 'tidemark/billing/orders/3'
const retrying: BatchTrouble = { state: 'retrying', reason: 'no such account' }
const held: BatchTrouble = { state: 'held', reason: 'by ada in Temporal' }

describe('a watch over batches', () => {
  let cluster: FakeCluster
  let watch: SliceWatch

  beforeEach(() => {
    cluster = new FakeCluster()
    const story = { watched: () => {} }
    const queues = { workflows: 'workflows', control: 'control', batches: 'process@' }
    const { client: source } = new FakeLog()
    watch = new SliceWatch({ source, cluster, log: silentLog(), keepOffset: async () => {}, queues, story }, name, 3)
  })
  afterEach(() => watch.stop())

  async function look(...looks: Readonly<Record<string, BatchTrouble | null>>[]) {
    for (const batches of looks) {
      cluster.troubled(id, batches)
      await watch.look()
    }
  }

  it('tells the slice once that a batch is retried, however often it fails', async () => {
    await look({ a: null, b: null }, { a: retrying, b: null }, { a: { ...retrying, reason: 'another one' }, b: null })
    expect(cluster.signals).toEqual([`${id}: trouble`])
    expect(cluster.said).toEqual([[{ a: retrying }]])
  })

  it('tells it what a person holds, and that it is held no more', async () => {
    await look({ a: retrying }, { a: held }, { a: null }, { a: null })
    expect(cluster.said).toEqual([[{ a: retrying }], [{ a: held }], [{}]])
  })

  it('says nothing of a batch that has ended, and tells of the next one', async () => {
    await look({ a: retrying }, { b: null }, { c: retrying })
    expect(cluster.said).toEqual([[{ a: retrying }], [{ c: retrying }]])
  })

  it('tells it again where it could not be told', async () => {
    vi.spyOn(cluster, 'signal').mockRejectedValueOnce(new Error('connection refused'))
    await look({ a: retrying }, { a: retrying }, { a: retrying })
    expect(cluster.said).toEqual([[{ a: retrying }]])
  })

  it('tells nothing to a slice of another build', async () => {
    cluster.troubled(id, { a: retrying })
    cluster.workflows.set(id, { ...cluster.workflows.get(id)!, taskQueue: 'of another build' })
    await watch.look()
    expect(cluster.said).toEqual([])
  })
})
