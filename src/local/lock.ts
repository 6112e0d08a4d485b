import { randomUUID } from 'node:crypto'
import { readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

export interface LockOptions {
  /** Called once when somebody else holds the lock. */
  readonly onWait?: () => void
  /** Milliseconds without a sign of life after which a holder counts as dead. */
  readonly staleAfter?: number
}

/**
 * Runs `work` while holding a lock file; other processes that want the same file wait. The holder touches the file, so a
 * lock whose holder was killed is taken over after `staleAfter`.
 *
 * Taking over a stale lock can, in a rare race, let two in at once. `install` stays right even then (it publishes by a
 * rename); the lock only saves the double work.
 */
export async function withLock<T>(file: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const staleAfter = options.staleAfter ?? 15_000
  const mine = randomUUID()
  let waited = false
  while (!(await take(file, mine))) {
    if (!waited) options.onWait?.()
    waited = true
    if ((await age(file)) > staleAfter) await discard(file, mine)
    else await delay(Math.min(200, staleAfter / 4))
  }
  const alive = setInterval(() => {
    const now = new Date()
    utimes(file, now, now).catch(() => {})
  }, staleAfter / 4)
  try {
    return await work()
  } finally {
    clearInterval(alive)
    if ((await readFile(file, 'utf8').catch(() => '')) === mine) await rm(file, { force: true })
  }
}

async function take(file: string, mine: string): Promise<boolean> {
  try {
    await writeFile(file, mine, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Milliseconds since the holder's last sign of life; 0 when the lock is free by now. */
async function age(file: string): Promise<number> {
  const found = await stat(file).catch(() => null)
  return found === null ? 0 : Date.now() - found.mtimeMs
}

/** Moved aside first: of several waiters only one can move it. */
async function discard(file: string, mine: string): Promise<void> {
  const aside = `${file}.${mine}`
  await rename(file, aside).catch(() => {})
  await rm(aside, { force: true })
}
