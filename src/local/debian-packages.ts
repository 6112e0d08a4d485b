import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isExecutable, onPath, run } from './command.js'
import { type Progress, showing } from './progress.js'

/** Packages of a Debian release, to be unpacked into a folder of our own. */
export interface DebianPackages {
  /** What people read while they are fetched. */
  readonly title: string
  /** Debian's name of the release: `trixie`. */
  readonly release: string
  readonly names: readonly string[]
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
const left = ['doc', 'man', 'locale', 'lintian'].map((folder) => `--exclude=./usr/share/${folder}`)

/**
 * Fetches packages through apt, with a state of its own and signatures checked, and unpacks them into `folder`. Nothing of the
 * system changes and nobody has to be root. Throws where there is no apt or no mirror among its sources.
 */
export async function unpack(wanted: DebianPackages, folder: string, progress: Progress): Promise<void> {
  for (const program of ['apt-get', 'apt-config', 'dpkg', 'dpkg-deb', 'tar'])
    if ((await onPath(program)) === undefined) throw new Error(`no \`${program}\` on PATH`)
  if (!(await isReadable(keyring))) throw new Error('the package debian-archive-keyring is not installed')
  const apt = join(folder, '.apt')
  for (const part of ['lists/partial', 'archives/partial', 'debs']) await mkdir(join(apt, part), { recursive: true })
  const architecture = (await run('dpkg', ['--print-architecture'])).trim()
  const source = `deb [arch=${architecture} signed-by=${keyring}] ${await mirror()} ${wanted.release} main\n`
  await writeFile(join(apt, 'sources.list'), source)
  await writeFile(join(apt, 'status'), '')
  await writeFile(join(apt, 'apt.conf'), await configuration(apt, architecture))
  const env = { ...process.env, APT_CONFIG: join(apt, 'apt.conf') }
  const debs = join(apt, 'debs')
  const fetch = async () => {
    await run('apt-get', ['-q', 'update'], { env })
    await run('apt-get', ['-q', 'download', ...wanted.names], { env, cwd: debs })
  }
  await showing(progress, `fetching ${wanted.title}, once`, fetch())
  for (const deb of await readdir(debs)) {
    const tar = `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-same-owner ${left.join(' ')}`
    await run('sh', ['-c', tar, 'sh', join(debs, deb), folder])
  }
}

/** The first plain archive among the sources that this machine's apt has: the one that is known to be reachable. */
async function mirror(): Promise<string> {
  const parts = await readdir('/etc/apt/sources.list.d').catch(() => [])
  for (const file of ['/etc/apt/sources.list', ...parts.sort().map((name) => join('/etc/apt/sources.list.d', name))]) {
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n')
    for (const line of lines) {
      const found = /^(?:deb(?: \[[^\]]*\])?|URIs:) +(https?:\S+)/.exec(line)?.[1]
      if (found !== undefined && /debian/.test(found) && !/security/.test(found)) return found
    }
  }
  throw new Error("no Debian mirror among apt's sources")
}

/**
 * The system's own settings are left out, for their hooks touch the system, except for how to reach the network (proxy,
 * retries, checks).
 */
async function configuration(apt: string, architecture: string): Promise<string> {
  const network = (await run('apt-config', ['dump']))
    .split('\n')
    .filter((line) => /^Acquire::(https?|Retries|Check-|ForceIP)/.test(line))
  const nothing = ['sourceparts', 'parts', 'main', 'preferences', 'preferencesparts']
  const own = {
    'Dir::State': apt,
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': apt,
    'Dir::Cache::archives': join(apt, 'archives'),
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    ...Object.fromEntries(nothing.map((name) => [`Dir::Etc::${name}`, '/dev/null'])),
    'Dir::Log': apt,
    'APT::Sandbox::User': '',
    'APT::Architecture': architecture,
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'APT::Update::Error-Mode': 'any',
  }
  const lines = Object.entries(own).map(([name, value]) => `${name} "${value}";`)
  return [...network, ...lines, `APT::Architectures { "${architecture}"; };`, ''].join('\n')
}

/**
 * Makes the programs below `programs` start through the unpacked loader and libraries, because this system's may be older.
 * Only they see these libraries: what they start of the system does not.
 *
 * @param home where `folder` will be once it is whole
 */
export async function wrapPrograms(folder: string, programs: string, home: string): Promise<void> {
  const loader = await find(folder, (name) => /^ld-linux.*\.so\.\d+$/.test(name))
  const there = loader[0]
  if (there === undefined) throw new Error('no dynamic loader among the unpacked packages')
  const at = (file: string) => join(home, file.slice(folder.length))
  const libraries = at(join(there, '..'))
  for (const file of await find(join(folder, programs), (name) => !/\.(so|elf)$/.test(name))) {
    if (!(await isExecutable(file)) || !(await isElf(file))) continue
    await rename(file, `${file}.elf`)
    const line = `exec ${at(there)} --library-path ${libraries} --argv0 "$0" ${at(file)}.elf "$@"`
    await writeFile(file, `#!/bin/sh\n${line}\n`)
    await chmod(file, 0o755)
  }
}

/** Regular files at or below `folder` whose name passes. */
export async function find(folder: string, wanted: (name: string) => boolean): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile() && wanted(basename(entry.name)))
    .map((entry) => join(entry.parentPath, entry.name))
}

async function isElf(file: string): Promise<boolean> {
  return (await readFile(file)).subarray(0, 4).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46]))
}

async function isReadable(file: string): Promise<boolean> {
  return readFile(file).then(
    () => true,
    () => false,
  )
}
