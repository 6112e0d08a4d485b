import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { pauseGroup, resumeGroup } from '../../../src/client/commands.js'
import type { Controls } from '../../../src/local/server.js'
import { batchMs, consumers, partitions, type Tally } from './ground.js'
import type { Scene } from './scene.js'

const all = Object.fromEntries(consumers.map((consumer) => [consumer, partitions]))

/** Messages a second, in all partitions of all consumers; a little fewer than there are. */
const perSecond = 80 * partitions.length * consumers.length

export interface AwayReport {
  /** The longest time that any partition had no effect, without the first 2 s, ms. */
  readonly pauseMs: number
  /** Messages whose offsets were committed meanwhile, and how many it should be at least. */
  readonly committed: number
  readonly committedAtLeast: number
  /** Until commands work, status is right and everything is committed, ms. */
  readonly normalAgainMs: number
  readonly workersLeft: number
  readonly tallies: readonly Tally[]
}

/** Kills Temporal under load, and brings it back. */
export async function withTemporalAway(
  scene: Scene,
  temporal: Pick<Controls, 'kill' | 'restart'>,
  client: Client,
  outageMs: number,
): Promise<AwayReport> {
  const { ground, workers } = scene
  await scene.betweenNoBatches()
  await temporal.kill()
  const before = await ground.committed()
  const from = new Date(Date.now() + 2_000)
  await sleep(outageMs)
  const committed = (await ground.committed()) - before
  const pauseMs = await ground.longestPauseMs(from, new Date())
  await temporal.restart()
  const back = performance.now()

  const stream = ground.topic
  await scene.told('running', all)
  for (const group of consumers) await pauseGroup(client, { group, stream }, { reason: 'after the outage' })
  await scene.told('paused', all)
  for (const group of consumers) await resumeGroup(client, { group, stream })
  await scene.told('running', all)
  const tallies = await scene.settled(30_000)
  return {
    pauseMs,
    committed,
    committedAtLeast: ((outageMs - batchMs) / 1_000) * perSecond,
    normalAgainMs: Math.round(performance.now() - back),
    workersLeft: workers.alive.size,
    tallies,
  }
}
