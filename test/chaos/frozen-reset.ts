import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { tidemarkProgram } from '../support/built.js'
import { waitFor } from '../support/wait-for.js'
import type { Ground } from './ground.js'
import type { Workers } from './workers.js'

export interface ResetReport {
  /** Effects of the new replay. */
  readonly effects: number
  /** Messages from the reset point on. */
  readonly expected: number
  readonly lost: number
  readonly duplicates: number
  /** Duplicates among the effects of the time before the reset. */
  readonly duplicatesBefore: number
}

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Resets all partitions from the command line while three workers are busy and one of them is stopped (SIGSTOP), and wakes it up
 * (SIGCONT) once the others work the new replay: nothing of it may come through, and each message from the reset point on is
 * handled exactly once more.
 */
export async function resetWithFrozen(
  ground: Ground,
  workers: Workers,
  to: number,
  timeoutMs: number,
): Promise<ResetReport> {
  for (let i = 0; i < 3; i++) workers.start()
  const frozen = await waitFor(
    async () => {
      if ((await ground.effects()) < (to + 1_000) * ground.partitions) return null
      for (const worker of workers.alive.values()) if ((await ground.heldBy(worker.name)).length > 0) return worker
      return null
    },
    { timeout: 90_000, what: 'busy workers' },
  )
  frozen.process.kill('SIGSTOP')
  await reset(workers, ground.topic, to)
  const replayed = async () => {
    const { rows } = await ground.pool.query<{ partitions: number; n: number; distinct: number }>(
      `select count(distinct partition)::int partitions, count(*)::int n, count(distinct id)::int as distinct
       from effects where replay = 1`,
    )
    return rows[0]!
  }
  await waitFor(async () => (await replayed()).partitions === ground.partitions, {
    timeout: 60_000,
    what: 'the new replay in all partitions',
  })
  frozen.process.kill('SIGCONT')
  const expected = ground.messages - to * ground.partitions
  await waitFor(async () => (await replayed()).distinct >= expected, { timeout: timeoutMs, what: 'the whole replay' })
  await waitFor(async () => (await ground.committed()) >= ground.messages, { timeout: 60_000, what: 'the commits' })
  const { n, distinct } = await replayed()
  const { rows } = await ground.pool.query<{ twice: number }>(
    'select (count(*) - count(distinct id))::int twice from effects where replay = 0',
  )
  return {
    effects: n,
    expected,
    lost: expected - distinct,
    duplicates: n - distinct,
    duplicatesBefore: rows[0]!.twice,
  }
}

async function reset(workers: Workers, stream: string, to: number): Promise<void> {
  const args = ['reset', '--group', 'chaos', '--stream', stream, '--to', String(to), '--yes', '--why', 'chaos']
  const command = [tidemarkProgram, ...args]
  const child = spawn(process.execPath, [...command, '--config', workers.config], {
    cwd: root,
    env: { ...process.env, ...workers.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (data) => {
    said += data
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`tidemark reset ended with ${code}: ${said}`)
}
