import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Guard } from '../../src/local/guard.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const linesShown = 8

/** `tidemark start` in a process of its own, which ends with this one, even by kill -9. */
export class WorkerProcess {
  private constructor(
    private readonly guard: Guard,
    readonly config: string,
    private readonly env: NodeJS.ProcessEnv,
    /** File with what the workers say. */
    readonly log: string,
  ) {}

  /** @param config path of the config file, from the root of the checkout */
  static async create(config: string, env: NodeJS.ProcessEnv): Promise<WorkerProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-demo-'))
    const guard = new Guard({ folder, signal: 'SIGTERM', within: 2_000 })
    return new WorkerProcess(guard, config, env, join(folder, 'worker.log'))
  }

  /** What to type for the same in a checkout. */
  get command(): string {
    return `tidemark start --config ${this.config}`
  }

  async start(): Promise<void> {
    const tidemark = ['--import', 'tsx', '--conditions=tidemark-source', 'src/cli/main.ts']
    await this.guard.start({
      command: process.execPath,
      args: [...tidemark, 'start', '--config', this.config],
      cwd: root,
      env: this.env,
      log: this.log,
    })
  }

  /** Ends the process as a power cut would: it gets no chance to say or finish anything. */
  async kill(): Promise<void> {
    await this.guard.signal('SIGKILL')
    while (this.guard.exit === null) await pause(5)
  }

  /** Throws when the process has ended, with the last lines it said. */
  async check(): Promise<void> {
    if (this.guard.exit !== null) throw new Error(`the worker ended (${this.guard.exit}):\n${await this.lastLines()}`)
  }

  async lastLines(): Promise<string> {
    const text = await readFile(this.log, 'utf8').catch(() => '')
    return text.trim().split('\n').slice(-linesShown).join('\n')
  }

  /** Ends the process in order. */
  close(): Promise<void> {
    return this.guard.close()
  }
}
