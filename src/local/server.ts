import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf, TidemarkError } from '../model/errors.js'
import { lastLines } from './command.js'
import { onFreePorts, PortTaken, saysPortTaken } from './free-ports.js'
import { Guard, type Launch } from './guard.js'

/** What can be done to a server that the launcher started. Each resolves when it has happened. */
export interface Controls {
  /** Ends the server in order. Its data and its ports stay its own until the stack stops. */
  stop(): Promise<void>
  /** kill -9, children included. */
  kill(): Promise<void>
  /** Ends the server if it runs, starts it again on the same ports and data, and waits until it answers. */
  restart(): Promise<void>
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): Promise<void>
  /** SIGCONT. */
  resume(): Promise<void>
}

/** What the launcher must know about a program to run it. */
export interface ServerKind {
  /** For folders and errors: `kafka`. */
  readonly name: string
  readonly ports: number
  /** The first of them, where people expect the server there. Default: any that are free. */
  readonly at?: readonly number[]
  readonly stopSignal: 'SIGTERM' | 'SIGINT'
  /** Milliseconds it gets to end in order before it is killed. */
  readonly stopWithin: number
  /** Milliseconds it gets to answer after a start. */
  readonly readyWithin: number
  /** Called before the first start, and again when another port has to be taken. */
  prepare(folder: string, ports: readonly number[]): Promise<Omit<Launch, 'log'>>
  /** Resolves when the server answers; throws while it does not. Called again and again. */
  ready(ports: readonly number[]): Promise<void>
}

/** One program on ports of 127.0.0.1 with a temporary folder of its own, under a guard. */
export class Server implements Controls {
  readonly folder: string
  readonly #kind: ServerKind
  readonly #guard: Guard
  #ports: readonly number[] = []
  #launch: Launch | null = null
  #closed: Promise<void> | null = null

  private constructor(kind: ServerKind, folder: string) {
    this.#kind = kind
    this.folder = folder
    this.#guard = new Guard({ folder, signal: kind.stopSignal, within: kind.stopWithin })
  }

  /** Starts a server and waits until it answers. Throws UNREACHABLE with the last lines of its output. */
  static async start(kind: ServerKind): Promise<Server> {
    const server = new Server(kind, await mkdtemp(join(tmpdir(), `tidemark-${kind.name}-`)))
    try {
      const up = async (ports: number[]) => {
        server.#ports = ports
        server.#launch = { ...(await kind.prepare(server.folder, ports)), log: server.log }
        await server.#up(server.#launch)
      }
      await onFreePorts(kind.ports, up, kind.at)
      return server
    } catch (error) {
      await server.close()
      throw error
    }
  }

  get ports(): readonly number[] {
    return this.#ports
  }

  /** File with the server's output. */
  get log(): string {
    return join(this.folder, 'server.log')
  }

  stop(): Promise<void> {
    return this.#guard.stop()
  }

  async kill(): Promise<void> {
    if (this.#guard.exit !== null) return
    await this.#guard.signal('SIGKILL')
    await this.#guard.stop()
  }

  async restart(): Promise<void> {
    await this.stop()
    // After a kill the port, or Postgres's shared memory, may be held for a moment more.
    const deadline = performance.now() + this.#kind.readyWithin
    for (;;) {
      try {
        return await this.#up(this.#launch!)
      } catch (error) {
        if (this.#closed || this.#guard.exit === null || performance.now() > deadline) throw error
        await delay(200)
      }
    }
  }

  pause(): Promise<void> {
    return this.#guard.signal('SIGSTOP')
  }

  resume(): Promise<void> {
    return this.#guard.signal('SIGCONT')
  }

  /** Ends the server for good and removes its folder. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#guard.close()
    return this.#closed
  }

  async #up(launch: Launch): Promise<void> {
    const before = (await this.#output()).length
    await this.#guard.start(launch)
    const deadline = performance.now() + this.#kind.readyWithin
    for (;;) {
      let reason: string
      try {
        await this.#kind.ready(this.#ports)
        if (this.#guard.exit === null) return
        reason = 'somebody else answers on its port'
      } catch (error) {
        reason = messageOf(error)
      }
      const { exit } = this.#guard
      if (exit !== null || performance.now() > deadline) {
        const output = (await this.#output()).slice(before)
        if (exit !== null && saysPortTaken(output)) throw new PortTaken(`${this.#kind.name}: ${lastLines(output, 3)}`)
        const what = exit === null ? `does not answer after ${this.#kind.readyWithin} ms (${reason})` : `ended: ${exit}`
        await this.#guard.stop()
        throw new TidemarkError('UNREACHABLE', `${this.#kind.name} ${what}\n${lastLines(output, 15)}`)
      }
      await delay(50)
    }
  }

  #output(): Promise<string> {
    return readFile(this.log, 'utf8').catch(() => '')
  }
}

/** A server's controls as a plain object, to be part of another. */
export function controlsOf(server: Server): Controls {
  return {
    stop: () => server.stop(),
    kill: () => server.kill(),
    restart: () => server.restart(),
    pause: () => server.pause(),
    resume: () => server.resume(),
  }
}
