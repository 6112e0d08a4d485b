import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, install } from './cache.js'
import { onPath, run } from './command.js'
import { type DebianPackages, unpack, wrapPrograms } from './debian-packages.js'
import { firstOf } from './lookup.js'
import { type Progress, silent } from './progress.js'

const installation = 'pgbouncer-1.24-trixie'

const packages: DebianPackages = {
  title: 'PgBouncer 1.24, 1 MB',
  release: 'trixie',
  names: [
    'pgbouncer',
    ...['libc6', 'libgcc-s1', 'libcares2', 'libevent-2.1-7t64', 'libssl3t64', 'libzstd1', 'zlib1g'],
    ...['libsystemd0', 'libcap2', 'libpam0g', 'libaudit1', 'libcap-ng0'],
  ],
}

/** A PgBouncer, fetched the first time. Throws CONFIG_INVALID, saying what to install. */
export function pgbouncerProgram(progress: Progress = silent): Promise<string> {
  return firstOf(
    'PgBouncer',
    [
      { name: '`pgbouncer` on PATH', find: installed },
      { name: "Debian's packages, unpacked into the cache", find: () => unpacked(progress) },
    ],
    'Install PgBouncer 1.21 or newer.',
  )
}

async function installed(): Promise<string> {
  const program = await onPath('pgbouncer')
  if (program === undefined) throw new Error('not there')
  const [, version = ''] = /PgBouncer (\S+)/.exec(await run(program, ['--version'])) ?? []
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 1 || (major === 1 && minor < 21)) throw new Error(`it is ${version}, and 1.21 or newer is needed`)
  return program
}

async function unpacked(progress: Progress): Promise<string> {
  const home = await install(installation, (folder) => build(folder, progress), { progress })
  return join(home, 'usr/sbin/pgbouncer')
}

async function build(folder: string, progress: Progress): Promise<void> {
  await unpack(packages, folder, progress)
  // The programs name where they will be, not the folder they are made in.
  await wrapPrograms(folder, 'usr/sbin', join(cacheFolder(), installation))
  await rm(join(folder, '.apt'), { recursive: true })
}
