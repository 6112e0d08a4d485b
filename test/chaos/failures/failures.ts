import { mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres } from '../../../src/local/postgres.js'
import { postgresPrograms } from '../../../src/local/postgres-program.js'
import { unique } from '../../support/unique.js'
import { waitFor } from '../../support/wait-for.js'
import { randomFrom } from '../seed.js'
import { Workers } from '../workers.js'
import { mendedFile } from './behaviour.js'
import { faultsWith, prepareDisk, type Scene } from './faults.js'
import { FailureGround } from './ground.js'
import { type Counts, countsFor, ordersFor } from './natures.js'
import type { FailurePlan } from './plan.js'
import { redriveAll } from './redrive.js'
import { Service } from './service.js'
import { Shift } from './shift.js'
import { type Verdict, verdictOn, wrongIn } from './verdict.js'

export interface FailuresReport {
  readonly natures: Counts
  readonly faults: Readonly<Record<string, number>>
  /** Workers that ended by themselves, by how. */
  readonly ends: Readonly<Record<string, number>>
  /** From the end of the last fault until each partition moved or was done, ms: the half of them, and all. */
  readonly recoveredMs: { readonly half: number; readonly all: number }
  readonly drainSeconds: number
  /** Everything is handled or set aside. */
  readonly aside: Verdict
  /** Everything was mended and redriven. */
  readonly redriven: Verdict
  readonly redriveSeconds: number
  readonly peakRssMb: number
  /** How many things are wrong. */
  readonly wrong: number
}

/** Drains a topic of messages that fail in all ways while faults come from outside; then everything is mended, and what was set aside is redriven. */
export async function playFailures(plan: FailurePlan): Promise<FailuresReport> {
  const { brokers, temporal, messages, partitions, say } = plan
  const random = randomFrom(plan.seed)
  const counts = countsFor(messages, plan.heavy)
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-failures-'))
  const endings: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true })]
  try {
    const [database, service] = await Promise.all([startPostgres(await postgresPrograms()), Service.start()])
    const { connectionString } = database
    endings.push(
      () => database.server.close(),
      () => service.away(),
    )
    const orders = ordersFor(messages, plan.keys, counts, random)
    const ground = new FailureGround(connectionString, brokers, unique('failures'), orders, partitions)
    endings.push(() => ground.close())
    await ground.prepare()
    const ends: Record<string, number> = {}
    const workers = new Workers(
      {
        DATABASE_URL: connectionString,
        KAFKA_BROKERS: brokers.join(','),
        TEMPORAL_ADDRESS: temporal.address,
        TEMPORAL_NAMESPACE: temporal.namespace,
        NODE_OPTIONS: '--max-old-space-size=200',
        CHAOS_TOPIC: ground.topic,
        CHAOS_FOLDER: folder,
        CHAOS_SERVICE: service.url,
        CHAOS_HEARTBEAT: String(plan.heartbeatMs),
        ...paceOf(plan),
      },
      'test/chaos/failures/tidemark.config.ts',
      (_, how) => {
        ends[how] = (ends[how] ?? 0) + 1
      },
    )
    const shift = new Shift(workers, plan.workers)
    endings.push(() => shift.end())
    const scene: Scene = { ground, shift, database }
    say(`${messages} messages are there; logs of the workers in ${workers.logs}`)

    const began = Date.now()
    shift.begin()
    const watch = watchOffsets(ground)
    // Told where the offsets are awaited.
    watch.ended.catch(() => {})
    await waitFor(async () => (await ground.effects()) > 0, { timeout: 120_000, what: 'the first effect' })
    await prepareDisk(ground)
    const faults = await rage(scene, service, plan, random)
    const recoveredMs = await recovery(ground, plan.timeoutMs)
    say(`all partitions have moved after ${recoveredMs.all} ms`)
    const done = async () => (await ground.committed()) >= messages
    await Promise.race([
      waitFor(done, { timeout: plan.timeoutMs, what: 'all to be handled or set aside' }),
      watch.ended,
    ])
    await watch.end()
    const drainSeconds = Math.round((Date.now() - began) / 1000)
    const aside = await verdictOn(ground)
    say(`handled or set aside after ${drainSeconds} s: ${JSON.stringify(aside)}`)

    writeFileSync(mendedFile(folder), '')
    const redriveSeconds = await redriveAll(scene, temporal, { ...plan, random })
    const redriven = await verdictOn(ground)
    const wrong = wrongIn(aside) + wrongIn(redriven) + redriven.letters
    const { peakRssMb } = shift
    return {
      natures: counts,
      faults,
      ends,
      recoveredMs,
      drainSeconds,
      aside,
      redriven,
      redriveSeconds,
      peakRssMb,
      wrong,
    }
  } finally {
    for (const end of endings.reverse()) await end()
  }
}

/** Chunks of 0.3 s, and so small that the drain outlasts its faults. */
function paceOf({ messages, partitions, faults }: FailurePlan) {
  const chunk = (messages * 0.3) / (faults * meanPauseMs * 0.001 * partitions)
  return { CHAOS_CHUNK: String(Math.max(5, Math.min(500, Math.round(chunk)))), CHAOS_CHUNK_MS: '300' }
}

const [leastPauseMs, mostPauseMs] = [500, 3_000] as const
const meanPauseMs = (leastPauseMs + mostPauseMs) / 2

/** Lets all faults come, and waits until the last one is over. Returns how many of each kind there were. */
async function rage(
  scene: Scene,
  service: Service,
  { faults, lockMs, lastsMs, serviceAwayMs, say }: FailurePlan,
  random: () => number,
): Promise<Record<string, number>> {
  const between = (least: number, most: number) => least + random() * (most - least)
  const kinds = faultsWith(lockMs)
  const counts: Record<string, number> = {}
  const lasting: Promise<unknown>[] = []
  let databaseBusy = false
  for (let n = 1; n <= faults; n++) {
    // The same seed gives the same faults, as far as what happens meanwhile allows it.
    const [pause, which, whom, lasts] = [between(leastPauseMs, mostPauseMs), random(), random(), between(...lastsMs)]
    await sleep(pause)
    if (n === Math.ceil(faults / 3)) {
      say(`the service is away for ${serviceAwayMs} ms`)
      await service.away()
      lasting.push(sleep(serviceAwayMs).then(() => service.back()))
    }
    const chosen = kinds[Math.floor(which * kinds.length)]!
    const fault = chosen.ofDatabase && databaseBusy ? kinds[0]! : chosen
    counts[fault.kind] = (counts[fault.kind] ?? 0) + 1
    const victim = scene.shift.pick(whom)
    say(`fault ${n}: ${fault.kind}${fault.ofDatabase ? '' : `, ${victim.name}`}`)
    if (fault.ofDatabase) databaseBusy = true
    const happening = fault.happen(scene, victim, lasts).finally(() => {
      if (fault.ofDatabase) databaseBusy = false
    })
    happening.catch(() => {})
    lasting.push(happening)
  }
  await Promise.all(lasting)
  scene.shift.calm()
  return counts
}

/** How long it takes until each partition moves, or is done. */
async function recovery(ground: FailureGround, timeout: number): Promise<{ half: number; all: number }> {
  const before = await ground.progress()
  const calmSince = performance.now()
  const moved = new Map<number, number>()
  const all = async () => {
    for (const [partition, { at, end }] of await ground.progress())
      if (!moved.has(partition) && (at >= end || at > before.get(partition)!.at))
        moved.set(partition, Math.round(performance.now() - calmSince))
    return moved.size === before.size
  }
  await waitFor(all, { timeout, what: () => `all partitions to move: ${[...moved.keys()]} did` })
  const each = [...moved.values()].sort((a, b) => a - b)
  return { half: each[Math.floor(each.length / 2)]!, all: each.at(-1)! }
}

/** Looks all along whether no offset is ahead. */
function watchOffsets(ground: FailureGround) {
  let over = false
  const ended = (async () => {
    // Before the first worker there are no tables.
    await waitFor(async () => (await ground.effects()) > 0, { timeout: 120_000, what: 'the first effect' })
    while (!over) {
      await ground.checkOffsets()
      await sleep(500)
    }
  })()
  return {
    ended,
    end: () => {
      over = true
      return ended
    },
  }
}
