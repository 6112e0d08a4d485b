import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { WatchedSlice } from '../../../activities/index.js'
import { SliceWatch } from '../../../activities/polling/slice-watch.js'
import { TidemarkError } from '../../../src/model/errors.js'
import { name } from '../../support/batch-ground.js'
import { FakeCluster } from '../../support/fake-cluster.js'
import { FakeLog } from '../../support/fake-log.js'
import { silentLog } from '../../support/silent-log.js'
import { virtualTime } from '../../support/virtual-time.js'

const { pass } = virtualTime
const id = 'tidemark/billing/orders/3'
const wake = `${id}: wake`

describe('a watch over a slice', () => {
  let cluster: FakeCluster
  let log: FakeLog
  let kept: number[]
  let watch: SliceWatch
  /** Partitions at rest that the metrics were told of; null when it is watched no more. */
  let shown: (string[] | null)[]

  beforeEach(() => {
    virtualTime.begin()
    cluster = new FakeCluster()
    log = new FakeLog()
    kept = []
    const keepOffset = async ({ partition }: { partition: number }) => void kept.push(partition)
    shown = []
    const story = {
      watched: (_: number, seen: WatchedSlice | null) =>
        void shown.push(seen && Object.keys(seen.rest?.partitions ?? {})),
    }
    const queues = { workflows: 'workflows', control: 'control', batches: 'process@' }
    watch = new SliceWatch({ source: log.client, cluster, log: silentLog(), keepOffset, queues, story }, name, 3)
  })
  afterEach(() => {
    watch.stop()
    virtualTime.end()
  })

  /** It rests, with partition 3 at 5 and partition 19 at 0. */
  async function rest(count = 1) {
    cluster.resting(id, count, { 3: ['5', null], 19: ['0', null] })
    await watch.look()
  }

  it('waits for messages of all its partitions while it rests, and wakes it once', async () => {
    log.append(3, 5)
    await rest()
    expect([watch.state, kept]).toEqual(['resting', [3, 19]])
    await pass(5_000)
    expect(cluster.signals).toEqual([])
    log.append(19)
    log.append(3)
    await pass(1)
    expect(cluster.signals).toEqual([wake])
  })

  it('shows what rests until messages come, and nothing once it has stopped', async () => {
    log.append(3, 5)
    await rest()
    expect(shown).toEqual([['3', '19']])
    log.append(19)
    await pass(1)
    expect(shown.at(-1)).toEqual([])
    watch.stop()
    expect(shown.at(-1)).toBeNull()
  })

  it('shows nothing of a slice at work as resting, though it has rested before', async () => {
    await rest()
    cluster.working(id)
    await watch.look()
    expect(shown).toEqual([['3', '19'], []])
  })

  it('wakes it at once where messages have come before', async () => {
    log.append(3, 6)
    await rest()
    await pass(0)
    expect(cluster.signals).toEqual([wake])
  })

  it('ends a slice of another build that has no worker, and has it started again at once', async () => {
    cluster.working(id, {}, 'workflows of before')
    await watch.look()
    expect([watch.state, watch.gone]).toEqual(['working', false])
    cluster.stranded.add(id)
    await watch.look()
    expect([watch.state, watch.gone]).toEqual(['missing', true])
    expect(cluster.signals).toEqual([`${id}: ended for workflows`])
  })

  it('leaves a slice of its own build alone, however long it has no worker', async () => {
    cluster.working(id)
    cluster.stranded.add(id)
    await watch.look()
    expect([watch.state, watch.gone, cluster.signals]).toEqual(['working', false, []])
  })

  it('leaves it alone as long as it works', async () => {
    log.append(3, 9)
    cluster.working(id)
    await watch.look()
    await pass(20_000)
    expect([watch.state, cluster.signals]).toEqual(['working', []])
  })

  it('wakes it again where it rests still ten seconds later, and not before', async () => {
    log.append(3, 6)
    await rest()
    await pass(9_000)
    await rest()
    expect(cluster.signals).toEqual([wake])
    await pass(1_000)
    await rest()
    expect(cluster.signals).toEqual([wake, wake])
    await pass(9_000)
    await rest()
    expect(cluster.signals).toHaveLength(2)
  })

  it('wakes it again where Temporal did not take the signal', async () => {
    log.append(3, 6)
    cluster.resting(id, 1, { 3: ['5', null] })
    await watch.look()
    cluster.away = true
    await pass(10_000)
    cluster.away = false
    await rest()
    expect(cluster.signals).toContain(wake)
  })

  it('does not wake it again once it works', async () => {
    log.append(3, 6)
    await rest()
    await pass(0)
    // The memo says of the last rest what it said.
    cluster.working(id, { rest: { count: 1, partitions: { 3: ['5', null] } } })
    await pass(10_000)
    await watch.look()
    expect([watch.state, cluster.signals]).toEqual(['working', [wake]])
  })

  it('waits anew, from new positions, when it comes to rest again', async () => {
    log.append(3, 6)
    await rest()
    await pass(0)
    cluster.resting(id, 2, { 3: ['6', null] })
    await watch.look()
    await pass(20_000)
    expect(cluster.signals).toEqual([wake])
    log.append(19)
    await pass(1)
    expect(cluster.signals).toEqual([wake])
    log.append(3)
    await pass(1)
    expect(cluster.signals).toEqual([wake, wake])
  })

  it('wakes it when its stream was made anew, though nothing comes at its position', async () => {
    log.identities.set(3, 'first')
    cluster.resting(id, 1, { 3: ['5', 'first'] })
    await watch.look()
    await pass(30_000)
    log.identities.set(3, 'second')
    await pass(29_000)
    expect(cluster.signals).toEqual([])
    await pass(1_100)
    expect(cluster.signals).toEqual([wake])
  })

  it('wakes it when its stream is gone, after some looks', async () => {
    await rest()
    await pass(30_000)
    vi.spyOn(log.client, 'identity').mockRejectedValue(new TidemarkError('STREAM_NOT_FOUND', 'no such topic'))
    await pass(33_000)
    expect(cluster.signals).toEqual([])
    await pass(2_000)
    expect(cluster.signals).toEqual([wake])
  })

  it('does not take an outage of the log for a stream that is gone', async () => {
    await rest()
    vi.spyOn(log.client, 'identity').mockRejectedValue(new TidemarkError('UNREACHABLE', 'connection refused'))
    await pass(300_000)
    expect(cluster.signals).toEqual([])
  })

  it('counts it as gone when its workflow has been missing for ten seconds', async () => {
    await watch.look()
    expect([watch.state, watch.gone]).toEqual(['missing', false])
    await pass(9_999)
    expect(watch.gone).toBe(false)
    await pass(1)
    expect(watch.gone).toBe(true)
  })

  it('counts from the last time it was there', async () => {
    cluster.ended(id, 'ended')
    await watch.look()
    await pass(8_000)
    cluster.working(id)
    await watch.look()
    await pass(8_000)
    cluster.ended(id, 'ended')
    await watch.look()
    await pass(8_000)
    expect([watch.state, watch.gone]).toEqual(['missing', false])
  })

  it.each(['cancelled', 'terminated'] as const)('sees that a person has %s it, which is not gone', async (how) => {
    cluster.ended(id, how)
    await watch.look()
    await pass(20_000)
    expect([watch.state, watch.gone]).toEqual([how, false])
  })

  it('knows what it knew when Temporal does not answer', async () => {
    await rest()
    cluster.away = true
    await expect(watch.look()).rejects.toThrow('connection refused')
    expect([watch.state, watch.gone]).toEqual(['resting', false])
    log.append(19)
    cluster.away = false
    await pass(1)
    expect(cluster.signals).toEqual([wake])
  })

  it('wakes nothing after it was stopped', async () => {
    await rest()
    watch.stop()
    log.append(19)
    await pass(100_000)
    expect(cluster.signals).toEqual([])
  })
})
