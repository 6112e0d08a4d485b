import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from '../support/wait-for.js'
import type { Ground, Verdict } from './ground.js'
import type { Workers } from './workers.js'

export interface ZombieReport extends Verdict {
  /** How often a worker that came back found its partition in other hands. */
  readonly fenced: number
}

/**
 * Stops a worker in the middle of its chunks (SIGSTOP), lets another one take its partitions over, and wakes it up again
 * (SIGCONT): its next chunk must fail as fenced, and nothing is written twice.
 */
export async function drainWithZombie(ground: Ground, workers: Workers, timeoutMs: number): Promise<ZombieReport> {
  const zombie = workers.start()
  const held = await waitFor(
    async () => {
      const partitions = await ground.heldBy(zombie.name)
      return partitions.length === ground.partitions && partitions
    },
    { timeout: 60_000, what: 'the worker to have all partitions' },
  )
  zombie.process.kill('SIGSTOP')
  const heir = workers.start()
  await waitFor(async () => (await ground.heldBy(heir.name)).length === held.length, {
    timeout: 60_000,
    what: 'the other worker to take all partitions over',
  })
  zombie.process.kill('SIGCONT')
  const log = () => readFileSync(join(workers.logs, `${zombie.name}.log`), 'utf8')
  const fenced = () => log().match(/FENCED|has a newer owner/g)?.length ?? 0
  await waitFor(() => fenced() > 0, { timeout: 30_000, what: 'the zombie to be fenced' })
  await ground.finished(timeoutMs)
  return { ...(await ground.verdict()), fenced: fenced() }
}
