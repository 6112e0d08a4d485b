import { cp, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from './command.js'

/** Whom to run Postgres as; empty when it can run as we do. */
export interface RunAs {
  readonly uid?: number
  readonly gid?: number
}

/** Postgres refuses to run as root, as we do in many containers: then it gets an unprivileged user of the system. */
export async function postgresUser(): Promise<RunAs> {
  if (process.getuid?.() !== 0) return {}
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find(([user]) => user === name) ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('running as root, and the system has neither a user "postgres" nor "nobody" to run Postgres as')
}

/**
 * A folder of programs that this user may run: `bin` itself, or a copy of its installation within `folder` where `bin` lies
 * below a private folder, such as root's home.
 */
export async function runnableBy(user: RunAs, bin: string, folder: string): Promise<string> {
  const runs = (programs: string) => run(join(programs, 'postgres'), ['--version'], { ...user, cwd: folder })
  try {
    await runs(bin)
    return bin
  } catch (error) {
    if (user.uid === undefined) throw error
  }
  const copy = join(folder, 'programs')
  await cp(dirname(bin), copy, { recursive: true, verbatimSymlinks: true })
  await runs(join(copy, 'bin'))
  return join(copy, 'bin')
}
