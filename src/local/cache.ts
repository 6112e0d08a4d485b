import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { withLock } from './lock.js'
import { type Progress, silent } from './progress.js'

/** Where downloads and builds are kept between runs: the user's cache folder, never the project. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'tidemark')
  const home = env.HOME ?? homedir()
  return platform === 'darwin' ? join(home, 'Library', 'Caches', 'tidemark') : join(home, '.cache', 'tidemark')
}

export interface InstallOptions {
  readonly root?: string
  readonly progress?: Progress
}

/** Written last into an installation; a folder without it is not one. */
const stamp = '.installed'

/** The folder of an installation, or undefined when there is none (or only a broken one). */
export async function installedAt(name: string, root = cacheFolder()): Promise<string | undefined> {
  const folder = join(root, name)
  return (await exists(join(folder, stamp))) ? folder : undefined
}

/**
 * The folder of an installation, made by `build` unless it is there already. `build` fills a temporary folder that
 * gets its name only when everything is in it, so what is found under the name is whole, whoever was killed meanwhile.
 * Two processes that want the same one wait for each other.
 */
export async function install(
  name: string,
  build: (folder: string) => Promise<void>,
  options: InstallOptions = {},
): Promise<string> {
  const { root = cacheFolder(), progress = silent } = options
  const found = await installedAt(name, root)
  if (found !== undefined) return found
  await mkdir(root, { recursive: true })
  const onWait = () => progress(`waiting for another process that is installing ${name}`)
  return withLock(join(root, `${name}.lock`), async () => (await installedAt(name, root)) ?? (await make()), { onWait })

  async function make(): Promise<string> {
    const folder = join(root, name)
    await sweep(root, name)
    const draft = join(root, `${name}.draft-${process.pid}-${randomBytes(4).toString('hex')}`)
    try {
      await mkdir(draft)
      await build(draft)
      await writeFile(join(draft, stamp), `${new Date().toISOString()}\n`)
      await publish(draft, folder)
    } finally {
      await rm(draft, { recursive: true, force: true })
    }
    return folder
  }
}

async function publish(draft: string, folder: string): Promise<void> {
  try {
    await rename(draft, folder)
  } catch (error) {
    // Something has the name: as good as ours if it is whole, rubbish (a folder made by hand) if it is not.
    if ((await installedAt(basename(folder), dirname(folder))) !== undefined) return
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    await rm(folder, { recursive: true, force: true })
    await rename(draft, folder)
  }
}

/** Removes drafts of installers that were killed. */
async function sweep(root: string, name: string): Promise<void> {
  const prefix = `${name}.draft-`
  for (const entry of await readdir(root)) {
    if (!entry.startsWith(prefix) || isAlive(Number.parseInt(entry.slice(prefix.length), 10))) continue
    // What the installer had started may still be writing into it; then the next one sweeps the rest.
    await rm(join(root, entry), { recursive: true, force: true }).catch(() => {})
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null)) !== null
}
