import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { CliHost } from './asked-cli.js'
import { tidemarkProgram } from './built.js'
import { part } from './parts.js'
import { waitFor } from './wait-for.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const withSources = ['--import', import.meta.resolve('tsx/esm'), '--conditions=tidemark-source']

/** What a command left behind. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A project of somebody who has installed Tidemark, in a folder of its own. */
export class Project {
  readonly #running = new Set<CliProcess>()
  #host: CliHost | null = null

  private constructor(
    readonly folder: string,
    private readonly env: NodeJS.ProcessEnv,
    private readonly tidemark: string,
  ) {}

  /**
   * The command line gets the addresses of the stack from its environment; `env` comes on top, undefined removes. `tidemark` is the
   * folder of the Tidemark that is installed, ending in a slash: this checkout, or another build.
   */
  static async create(env: NodeJS.ProcessEnv = {}, tidemark: string = root): Promise<Project> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-project-'))
    await mkdir(join(folder, 'node_modules'))
    await symlink(tidemark, join(folder, 'node_modules', 'tidemark'), 'dir')
    await writeFile(join(folder, 'package.json'), '{"name": "project", "private": true, "type": "module"}')
    const temporal = part('temporal')
    const whole = {
      ...process.env,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      LOG_LEVEL: 'info',
      ...env,
    }
    return new Project(folder, whole, tidemark)
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.folder, name), text)
  }

  /** Starts `tidemark ARGS`. It ends with the project at the latest. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): CliProcess {
    const sources = [...withSources, `${this.tidemark}src/cli/main.ts`]
    const program = this.tidemark === root ? [tidemarkProgram] : sources
    const child = spawn(process.execPath, [...program, ...args], {
      cwd: this.folder,
      env: { ...this.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const running = new CliProcess(child)
    this.#running.add(running)
    return running
  }

  /** Runs `tidemark ARGS` to its end. Throws when that does not come within a minute. */
  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const running = this.start(args, env)
    const ended = await waitFor(() => running.ended, {
      what: `tidemark ${args.join(' ')} to end; it said ${running.stderr}`,
      timeout: 60_000,
    })
    this.#running.delete(running)
    return ended
  }

  /** The same without a process of its own, which takes a tenth of the time: see CliHost for what it may be. */
  ask(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    this.#host ??= new CliHost(this.folder)
    return this.#host.ask(args, { ...this.env, ...env })
  }

  async close(): Promise<void> {
    await Promise.all([this.#host?.close(), ...[...this.#running].map((running) => running.kill())])
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** A command that is running. */
export class CliProcess {
  stdout = ''
  stderr = ''
  /** Set once the process has ended and everything it said has been read. */
  ended: Ran | null = null
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
      this.stdout += piece
    })
    child.stderr!.setEncoding('utf8').on('data', (piece: string) => {
      this.stderr += piece
    })
    child.once('close', (code) => {
      this.ended = { code, stdout: this.stdout, stderr: this.stderr }
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Waits until it has said `text` on standard error. */
  async said(text: string, timeout = 60_000): Promise<void> {
    await waitFor(() => this.stderr.includes(text) || this.ended, { what: `'${text}'`, timeout })
    if (!this.stderr.includes(text)) throw new Error(`it ended without saying '${text}': ${this.stderr}`)
  }

  /** Asks it to end, as Ctrl-C does. */
  async stop(): Promise<Ran> {
    this.#child.kill('SIGINT')
    return waitFor(() => this.ended, { what: 'the process to stop', timeout: 60_000 })
  }

  /** Closes its standard output and error, as `| head -1` does. */
  deafen(): void {
    this.#child.stdout!.destroy()
    this.#child.stderr!.destroy()
  }

  async kill(): Promise<void> {
    if (this.ended) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}

/** It ended with that code, said so on standard error only, and showed nobody a stack trace. */
export function refused({ code, stdout, stderr }: Ran, expected: number): void {
  expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
  expect(stderr).not.toMatch(/^\s+at /m)
}
