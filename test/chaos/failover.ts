import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalPostgres } from '../../src/local/postgres.js'
import { type PostgresPair, rowsAt } from '../support/postgres-pair.js'
import { waitFor } from '../support/wait-for.js'
import type { Ground, Verdict } from './ground.js'
import type { Workers } from './workers.js'

export interface FailoverPlan {
  readonly workers: number
  readonly random: () => number
  readonly timeoutMs: number
  readonly say: (text: string) => void
}

export interface FailoverReport extends Verdict {
  /** Effects that the old primary had and the promoted standby lacked. */
  readonly effectsLost: number
  /** Their messages that were handled again. */
  readonly handledAgain: number
  /** How often the store, ahead of the effects, was corrected. */
  readonly restored: number
  readonly disorder: number
  /** Partitions where progress and effects did not agree right after the promotion. */
  readonly torn: number
  /** Workers that ended by themselves. */
  readonly crashed: readonly string[]
  /** How long the workers reached the standby before it took writes, ms. */
  readonly readOnlyMs: number
  readonly seconds: number
}

/**
 * Drains the topic into a database whose standby is cut off at a random moment. Its primary is killed at another one, and the standby takes
 * over without what it lacks: that must be handled again, and nothing else.
 */
export async function drainWithFailover(
  ground: Ground,
  workers: Workers,
  pair: PostgresPair,
  { workers: count, random, timeoutMs, say }: FailoverPlan,
): Promise<FailoverReport> {
  const started = Date.now()
  for (let i = 0; i < count; i++) workers.start()
  const reach = async (effects: number) => {
    await waitFor(async () => (await ground.effects()) >= effects, { timeout: timeoutMs, what: `${effects} effects` })
    await sleep(random() * 500)
  }
  await reach((0.05 + 0.4 * random()) * ground.messages)
  pair.lag()
  const atCut = await ground.effects()
  await reach(atCut + (0.02 + 0.25 * random()) * ground.messages)
  const atKill = await ground.effects()
  await pair.kill()
  // A proxy leads clients to the standby before it takes writes, or after.
  const readOnlyMs = random() < 0.5 ? 0 : Math.round(200 + random() * 4_000)
  if (readOnlyMs > 0) {
    pair.lead()
    await sleep(readOnlyMs)
  }
  await pair.promote()
  const torn = await tornPartitions(pair.standby, ground.topic)
  pair.lead()
  say(
    `cut off at ${atCut} effects, killed at ${atKill}; the standby has taken over with ${await ground.effects()}, ${readOnlyMs} ms after clients came`,
  )
  if (atKill >= ground.messages) throw new Error('the drain was over before the kill: more messages, or slower chunks')
  await ground.finished(timeoutMs)
  const seconds = Math.round((Date.now() - started) / 1000)
  const verdict = await ground.verdict()
  const [restored, disorder] = [await ground.restored(), await ground.disorder()]
  await pair.primary.server.restart()
  return {
    ...verdict,
    ...(await compare(pair)),
    restored,
    disorder,
    torn,
    crashed: workers.crashed,
    readOnlyMs,
    seconds,
  }
}

/** Partitions whose effects are not those of the messages before their progress, each once. */
async function tornPartitions(server: LocalPostgres, stream: string): Promise<number> {
  // One statement sees one moment.
  const [row] = await rowsAt<{ n: number }>(
    server,
    `select count(*)::int n from tidemark.consumer_progress p where stream = $1 and exists (
       select from effects e where e.partition = p.partition
       having count(*) <> p.position or count(distinct off) filter (where off < p.position) <> p.position)`,
    [stream],
  )
  return row!.n
}

/** What the old primary had, by its own WAL, against what its successor has in the end. */
async function compare({ primary, standby }: PostgresPair): Promise<{ effectsLost: number; handledAgain: number }> {
  // The time tells an effect from the one of the same message handled again.
  const read = (server: LocalPostgres) =>
    rowsAt<{ id: number; at: string }>(server, 'select id, at::text at from effects')
  const [before, after] = await Promise.all([read(primary), read(standby)])
  const kept = new Set(after.map(({ id, at }) => `${id} ${at}`))
  const ids = new Set(after.map(({ id }) => id))
  const lost = before.filter(({ id, at }) => !kept.has(`${id} ${at}`))
  return { effectsLost: lost.length, handledAgain: lost.filter(({ id }) => ids.has(id)).length }
}
