import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Connection } from '@temporalio/client'
import { expect, it } from 'vitest'
import { pauseGroup, resumeGroup } from '../../src/client/commands.js'
import { startStack } from '../../src/local/stack.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { withTemporalAway } from './outage/away.js'
import { chunkSize, partitions, type Tally } from './outage/ground.js'
import { Scene } from './outage/scene.js'

describeWith(['kafka', 'postgres', 'temporal'], 'an outage of Temporal', () => {
  it.concurrent('stops no worker: open batches go on and commit, and nothing is lost or repeated afterwards', async () => {
    const { temporal, stop } = await ownTemporal()
    try {
      await withScene(temporal, async (scene, client) => {
        const report = await withTemporalAway(scene, temporal, client, 45_000)
        say(report)
        expect(report.workersLeft).toBe(scene.wired.length)
        expect(report.pauseMs).toBeLessThanOrEqual(2_000)
        expect(report.committed).toBeGreaterThan(report.committedAtLeast)
        expect(report.normalAgainMs).toBeLessThan(45_000)
        expectNothingLost(report.tallies)
      })
    } finally {
      await stop()
    }
  })

  it.concurrent('for one worker only makes another one take over, and nothing is lost or repeated', () =>
    withScene(part('temporal'), async (scene) => {
      const { ground } = scene
      const [{ wire }, other] = await scene.busiestFirst()
      await scene.betweenNoBatches()
      wire.cut()
      const cutAt = new Date()
      await waitFor(() => ground.moved(new Date(Date.now() - 1_000), [other.worker.name]), {
        timeout: 60_000,
        what: 'the other worker to have all partitions',
      })
      const takenOverMs = Date.now() - cutAt.getTime()
      const pauseMs = await ground.longestPauseMs(cutAt, new Date())
      wire.heal()
      const tallies = await scene.settled(60_000)
      say({ takenOverMs, pauseMs, tallies })
      // The worker that is cut off works on until then. But Temporal may still hand batches to polls that it has open.
      expect(pauseMs).toBeLessThan(15_000)
      expectNothingLost(tallies)
    }))

  it.concurrent('for one worker only lets it handle nothing of what is paused, once a person is told so', () =>
    // Long enough for people to be told before the worker's batches time out, if nothing else kept them from it.
    withScene(part('temporal'), lettingGo, '20s'))
})

/** One worker is cut off, and a person pauses what it works. */
async function lettingGo(scene: Scene, client: Client): Promise<void> {
  const { ground } = scene
  const [{ wire }] = await scene.busiestFirst()
  await scene.betweenNoBatches()
  // Some partitions of batches, and all partitions of batches.
  const paused = { exact: [0, 1], plain: partitions }
  const stream = ground.topic
  const asked = Promise.all(
    Object.entries(paused).map(([group, numbers]) =>
      // Nobody may answer once the wire is cut: Temporal asks the worker behind it.
      waitFor(() => pauseGroup(client, { group, stream }, { reason: 'a look', partitions: numbers }), {
        timeout: 60_000,
        what: `${group} to be asked to pause`,
      }),
    ),
  )
  // Before its worker hears of it: the batch goes on, and nobody takes it over.
  await scene.endAsked('plain')
  wire.cut()
  await asked
  const toldAt = await Promise.all(
    Object.entries(paused).map(async ([group, numbers]) => {
      await scene.told('paused', { [group]: numbers })
      return { group, numbers, at: new Date() }
    }),
  )
  await sleep(4_000)
  for (const { group, numbers, at } of toldAt) expect(await ground.effectsSince(at, group, numbers)).toEqual([])

  await resumeGroup(client, { group: 'exact', stream }, { partitions: paused.exact })
  await resumeGroup(client, { group: 'plain', stream })
  const resumedAt = new Date()
  await waitFor(() => ground.moved(resumedAt), { timeout: 60_000, what: 'every partition to be worked again' })
  wire.heal()
  const tallies = await scene.settled(60_000)
  say({ tallies })
  expectNothingLost(tallies)
}

/** A server that keeps its data when it is killed. */
async function ownTemporal() {
  const stack = await startStack({ temporal: { own: true, persist: true } })
  return { temporal: stack.temporal, stop: () => stack.stop() }
}

async function withScene(
  temporal: { readonly address: string; readonly namespace: string },
  play: (scene: Scene, client: Client) => Promise<void>,
  heartbeatTimeout?: string,
): Promise<void> {
  const { address, namespace } = temporal
  const client = new Client({ connection: await Connection.connect({ address }), namespace })
  const { connectionString, drop } = await freshDatabase()
  try {
    const scene = await Scene.begin(
      { databaseUrl: connectionString, brokers: part('kafka').brokers, temporal },
      client,
      heartbeatTimeout,
    )
    await play(scene, client).finally(() => scene.end())
  } finally {
    await client.connection.close()
    await drop()
  }
}

/** Effects of a transaction happen once. A plain handler repeats the chunk in hand at most, each time its partition changes hands. */
function expectNothingLost([exact, plain]: readonly Tally[]): void {
  expect(exact).toMatchObject({ lost: 0, repeated: 0 })
  expect(plain!.lost).toBe(0)
  expect(plain!.mostRepeated).toBeLessThanOrEqual(chunkSize)
}

/** For those who tune it: `CHAOS_SAY=1`. */
function say(report: object): void {
  if (process.env.CHAOS_SAY) console.error(JSON.stringify(report))
}
