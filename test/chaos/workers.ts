import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tidemarkProgram } from '../support/built.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** One worker: a process of its own that runs `tidemark start`. */
export interface ChaosWorker {
  readonly name: string
  readonly process: ChildProcess
}

/** Worker processes that can be killed, stopped and replaced. Their logs are kept for a post mortem. */
export class Workers {
  readonly alive = new Map<string, ChaosWorker>()
  readonly logs = mkdtempSync(join(tmpdir(), 'tidemark-chaos-'))
  /** Workers that ended though nobody told them to. */
  readonly crashed: string[] = []
  readonly #leaving = new Set<ChaosWorker>()
  #count = 0
  #ending = false

  /**
   * @param env what the config asks for
   * @param onCrash is told of workers that end though nobody told them to: `code 3`, `SIGABRT`
   */
  constructor(
    readonly env: Readonly<Record<string, string>>,
    readonly config = 'test/chaos/tidemark.config.ts',
    private readonly onCrash: (worker: ChaosWorker, how: string, log: string) => void = ({ name }, how, log) =>
      console.error(`worker ${name} ended by itself (${how}): see ${log}`),
  ) {}

  /** @param env on top of what all of them get */
  start(env: Readonly<Record<string, string>> = {}): ChaosWorker {
    const name = `w${++this.#count}`
    const log = join(this.logs, `${name}.log`)
    const child = spawn(process.execPath, [tidemarkProgram, 'start', '--config', this.config], {
      cwd: root,
      env: { ...process.env, ...this.env, ...env, CHAOS_WORKER: name },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => appendFileSync(log, data))
    const worker = { name, process: child }
    this.alive.set(name, worker)
    child.on('exit', (code, signal) => {
      this.alive.delete(name)
      if (this.#leaving.delete(worker) || this.#ending || signal === 'SIGKILL') return
      this.crashed.push(name)
      this.onCrash(worker, signal ?? `code ${code}`, log)
    })
    return worker
  }

  kill(worker: ChaosWorker): void {
    this.alive.delete(worker.name)
    worker.process.kill('SIGKILL')
  }

  /** Tells a worker to end in order. It may take its time. */
  dismiss(worker: ChaosWorker): void {
    this.alive.delete(worker.name)
    this.#leaving.add(worker)
    worker.process.kill('SIGTERM')
  }

  async end(): Promise<void> {
    this.#ending = true
    const all = [...this.alive.values(), ...this.#leaving]
    for (const { process } of all) {
      process.kill('SIGCONT')
      process.kill('SIGTERM')
    }
    const force = setTimeout(() => {
      for (const { process } of all) process.kill('SIGKILL')
    }, 10_000)
    await Promise.all(
      all.map(({ process }) => process.exitCode === null && process.signalCode === null && once(process, 'exit')),
    )
    clearTimeout(force)
  }
}
