import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../support/wait-for.js'
import type { Ground, Verdict } from '../ground.js'
import type { Crew } from './crew.js'
import { faults } from './faults.js'

export interface StormPlan {
  readonly faults: number
  readonly workers: number
  /** Time between the beginnings of two faults: random between these, ms. */
  readonly pauseMs: readonly [least: number, most: number]
  /** How long one lasts: random between these, ms. */
  readonly lastsMs: readonly [least: number, most: number]
  readonly random: () => number
  readonly timeoutMs: number
  readonly say: (text: string) => void
}

export interface StormReport extends Verdict {
  /** Effects that came before one of an earlier message of their partition. */
  readonly disorder: number
  readonly faults: Readonly<Record<string, number>>
  /** Workers that ended though nobody told them to. */
  readonly crashed: readonly string[]
  readonly seconds: number
  readonly perSecond: number
  /** From the end of the last fault until every partition goes on or is done. */
  readonly recoveryMs: number
}

/** Drains the topic while faults of all kinds come at random moments, several at once. All along, no offset may be ahead of the effects. */
export async function drainInStorm(ground: Ground, crew: Crew, plan: StormPlan): Promise<StormReport> {
  const { random, timeoutMs: timeout } = plan
  const between = ([least, most]: readonly [number, number]) => least + random() * (most - least)
  const counts: Record<string, number> = {}
  const lasting: Promise<void>[] = []
  const started = Date.now()
  for (let i = 0; i < plan.workers; i++) await crew.join()
  await waitFor(async () => (await ground.effects()) > 0, { timeout: 120_000, what: 'the first effect' })

  for (let n = 1; n <= plan.faults; n++) {
    // The same seed gives the same storm, whatever else happens.
    const [pause, which, whom, lasts] = [between(plan.pauseMs), random(), random(), between(plan.lastsMs)]
    await sleep(pause)
    await ground.checkOffsets()
    const left = ground.messages - (await ground.effects())
    if (left <= 0)
      throw new Error(`the drain was over after ${n - 1} of ${plan.faults} faults: more messages, or slower chunks`)
    const fault = faults[Math.floor(which * faults.length)]!
    const victims = crew.settled
    const victim = victims[Math.floor(whom * victims.length)]!
    counts[fault.kind] = (counts[fault.kind] ?? 0) + 1
    plan.say(`fault ${n}: ${fault.kind}, ${victim.worker.name}, ${left} messages left`)
    const mend = await fault.begin(crew, victim)
    if (mend) lasting.push(sleep(lasts).then(mend))
    while (crew.members.length < plan.workers) await crew.join()
  }
  await Promise.all(lasting)
  crew.calm()
  const calmSince = new Date()
  await waitFor(async () => (await ground.movedSince(calmSince)) === ground.partitions, {
    timeout,
    what: 'every partition to go on',
  })
  const recoveryMs = Date.now() - calmSince.getTime()
  await ground.finished(timeout)
  const seconds = Math.round((Date.now() - started) / 1000)
  await ground.checkOffsets()
  return {
    ...(await ground.verdict()),
    disorder: await ground.disorder(),
    faults: counts,
    crashed: crew.workers.crashed,
    seconds,
    perSecond: Math.round(ground.messages / seconds),
    recoveryMs,
  }
}
