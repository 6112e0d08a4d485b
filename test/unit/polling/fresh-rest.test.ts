import { afterEach, beforeEach, expect, it } from 'vitest'
import { watchFreshRest } from '../../../activities/polling/fresh-rest.js'
import type { PartitionOutcome } from '../../../src/model/batch.js'
import { name } from '../../support/batch-ground.js'
import { FakeCluster } from '../../support/fake-cluster.js'
import { FakeLog } from '../../support/fake-log.js'
import { silentLog } from '../../support/silent-log.js'
import { virtualTime } from '../../support/virtual-time.js'

const { pass } = virtualTime
const wake = 'tidemark/billing/orders/3: wake'
let cluster: FakeCluster
let log: FakeLog
let draining: AbortController

beforeEach(() => {
  virtualTime.begin()
  cluster = new FakeCluster()
  log = new FakeLog()
  draining = new AbortController()
})
afterEach(() => virtualTime.end())

/** A batch of partitions 3 and 19 is over; both are at 5. */
function over(end: 'rest' | 'more'): Promise<void> {
  for (const partition of [3, 19]) log.append(partition, 5)
  const partitions = [3, 19].map(
    (partition): PartitionOutcome => ({ partition, epoch: 1, batch: 1, to: '5', messages: 5, head: '5', end }),
  )
  return watchFreshRest({ source: log.client, cluster, draining: draining.signal, log: silentLog() }, name, 3, {
    partitions,
  })
}

it('wakes a slice for a message that comes before the poll watches it', async () => {
  const watched = over('rest')
  await pass(1_500)
  expect(cluster.signals).toEqual([])
  log.append(19)
  await pass(1)
  expect(cluster.signals).toEqual([wake])
  log.append(3)
  await pass(5_000)
  expect(cluster.signals).toEqual([wake])
  await watched
})

it('says where messages came before the slice knew that it rests', async () => {
  const watched = over('rest')
  log.append(3)
  await pass(1)
  expect([cluster.signals, cluster.said]).toEqual([[wake], [[{ partition: 3, position: '5' }]]])
  await watched
})

it('leaves the slice to the poll after a while', async () => {
  const watched = over('rest')
  await pass(4_000)
  await watched
  log.append(3)
  await pass(1_000)
  expect(cluster.signals).toEqual([])
})

it('has nothing to do for a slice that goes on', async () => {
  await over('more')
  log.append(3)
  await pass(1_000)
  expect(cluster.signals).toEqual([])
})

it('ends with the worker', async () => {
  const watched = over('rest')
  await pass(200)
  draining.abort()
  await watched
  log.append(3)
  await pass(1_000)
  expect(cluster.signals).toEqual([])
})

it('rejects never, though Temporal does not answer', async () => {
  cluster.away = true
  const watched = over('rest')
  log.append(3)
  await pass(200)
  await expect(watched).resolves.toBeUndefined()
})
