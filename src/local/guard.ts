import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** What to run, and as whom. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly uid?: number
  readonly gid?: number
  /** File that gets the server's output, appended. */
  readonly log: string
}

export interface GuardOptions {
  /** Removed after the server when the guard ends; null to keep everything. */
  readonly folder: string | null
  /** How the server is asked to end. */
  readonly signal: 'SIGTERM' | 'SIGINT'
  /** Milliseconds it gets to end before it is killed. */
  readonly within: number
}

interface Reply {
  readonly id?: number
  readonly error?: string
  readonly exit?: string
}

/**
 * Our end of a guard process (guard-process.mjs), which runs one server and ends it when this process is gone, even by kill -9.
 * An idle guard does not keep this process alive.
 */
export class Guard {
  readonly #child: ChildProcess & { stdin: Writable; stdout: Readable }
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  #lastId = 0
  #exit: string | null = 'not started'

  constructor(options: GuardOptions) {
    // Loaders and inspectors of this process are no business of the guard's.
    const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env
    this.#child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./guard-process.mjs', import.meta.url)), JSON.stringify(options)],
      // Detached, so that a Ctrl-C or kill meant for our process group leaves it alive to clean up.
      { detached: true, stdio: ['pipe', 'pipe', 'ignore'], env },
    ) as ChildProcess & { stdin: Writable; stdout: Readable }
    this.#child.on('error', (error) => this.#lost(error.message))
    this.#child.on('exit', () => this.#lost('its guard process ended'))
    this.#child.stdin.on('error', () => {})
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(JSON.parse(line) as Reply))
    this.#hold(false)
  }

  /** How the server ended, or null while it runs. */
  get exit(): string | null {
    return this.#exit
  }

  /** Starts the server; resolves once its process exists. */
  async start(launch: Launch): Promise<void> {
    this.#exit = null
    try {
      await this.#ask({ do: 'start', env: process.env, ...launch })
    } catch (error) {
      this.#exit ??= 'it could not be started'
      throw error
    }
  }

  /** Ends the server in order; resolves when it is gone. Harmless when it is not running. */
  stop(): Promise<void> {
    return this.#ask({ do: 'stop' })
  }

  /** Sends a signal to the server and its children. */
  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    return this.#ask({ do: 'signal', signal })
  }

  /** Ends the server and the guard, and removes the folder. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#hold(true)
    const gone = once(this.#child, 'exit')
    this.#child.stdin.end()
    await gone
  }

  async #ask(request: object): Promise<void> {
    const id = ++this.#lastId
    this.#hold(true)
    try {
      await new Promise<void>((resolve, reject) => {
        if (this.#child.exitCode !== null || this.#child.signalCode !== null) reject(new Error('its guard has ended'))
        this.#waiting.set(id, { resolve, reject })
        this.#child.stdin.write(`${JSON.stringify({ id, ...request })}\n`)
      })
    } finally {
      this.#waiting.delete(id)
      if (this.#waiting.size === 0) this.#hold(false)
    }
  }

  #hear(reply: Reply): void {
    if (reply.exit !== undefined) this.#exit = reply.exit
    if (reply.id === undefined) return
    const waiting = this.#waiting.get(reply.id)
    if (reply.error === undefined) waiting?.resolve()
    else waiting?.reject(new Error(reply.error))
  }

  #lost(reason: string): void {
    this.#exit ??= reason
    for (const { reject } of this.#waiting.values()) reject(new Error(reason))
  }

  /** Whether this process must stay alive for the guard. */
  #hold(yes: boolean): void {
    const how = yes ? 'ref' : 'unref'
    this.#child[how]()
    for (const stream of [this.#child.stdin, this.#child.stdout])
      (stream as Partial<Record<typeof how, () => void>>)[how]?.()
  }
}
