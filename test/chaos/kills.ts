import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../support/wait-for.js'
import type { Ground, Verdict } from './ground.js'
import type { Workers } from './workers.js'

export interface KillPlan {
  readonly kills: number
  readonly workers: number
  /** Time between two kills: random between these, ms. */
  readonly pauseMs: readonly [least: number, most: number]
  readonly random: () => number
  readonly timeoutMs: number
  readonly say: (text: string) => void
}

export interface KillReport extends Verdict {
  readonly kills: number
  readonly seconds: number
  /** For each partition of a killed worker: ms until somebody else's first effect, in order. */
  readonly failoversMs: readonly number[]
  /** The same, divided by the kills in that time: the one who took the partition over may have been killed, too. */
  readonly worstPerKillMs: number
}

/**
 * Drains the topic while workers are killed with SIGKILL at random moments, each replaced at once. All along, no offset may be
 * ahead of the effects.
 */
export async function drainWithKills(ground: Ground, workers: Workers, plan: KillPlan): Promise<KillReport> {
  const started = Date.now()
  for (let i = 0; i < plan.workers; i++) workers.start()
  await waitFor(async () => (await ground.effects()) > 0, { timeout: 60_000, what: 'the first effect' })

  const over = new AbortController()
  const watching = watchOffsets(ground, over.signal)
  const deaths: { worker: string; at: Date; held: number[] }[] = []
  while (deaths.length < plan.kills) {
    // Mostly the ranks are closed again before the next one falls; sometimes it falls in the middle of a fail-over.
    const last = deaths.at(-1)
    if (last && plan.random() < 0.75) await allMoved(ground, last.at, plan.timeoutMs)
    const [least, most] = plan.pauseMs
    await sleep(least + plan.random() * (most - least))
    const left = ground.messages - (await ground.effects())
    if (left <= 0)
      throw new Error(
        `the drain was over after ${deaths.length} of ${plan.kills} kills: more messages, or slower chunks`,
      )
    // A worker that holds something is worth more than one that waits.
    const alive = [...workers.alive.values()]
    const victim = alive[Math.floor(plan.random() * alive.length)]!
    workers.kill(victim)
    const at = new Date()
    deaths.push({ worker: victim.name, at, held: await ground.heldBy(victim.name) })
    workers.start()
    plan.say(
      `kill ${deaths.length}: ${victim.name}, which held ${deaths.at(-1)!.held.length} partitions; ${left} messages left`,
    )
  }
  await ground.finished(plan.timeoutMs)
  over.abort()
  await watching
  const failoversMs: number[] = []
  let worstPerKillMs = 0
  for (const { worker, at, held } of deaths)
    for (const ms of await ground.takenOver(held, worker, at)) {
      failoversMs.push(ms)
      const kills = deaths.filter((death) => death.at >= at && death.at.getTime() <= at.getTime() + ms).length
      worstPerKillMs = Math.max(worstPerKillMs, Math.round(ms / kills))
    }
  const seconds = Math.round((Date.now() - started) / 1000)
  failoversMs.sort((a, b) => a - b)
  return { ...(await ground.verdict()), kills: deaths.length, seconds, failoversMs, worstPerKillMs }
}

/** Resolves when every partition has had an effect since then, or has none left to come. */
async function allMoved(ground: Ground, since: Date, timeout: number): Promise<void> {
  await waitFor(async () => (await ground.movedSince(since)) === ground.partitions, {
    timeout,
    what: 'every partition to go on',
  })
}

async function watchOffsets(ground: Ground, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await ground.checkOffsets()
    await sleep(250, undefined, { signal }).catch(() => {})
  }
}
