import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket, connect as socketTo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Slowness {
  /** Added to each piece of data, ms. */
  readonly latencyMs: number
  /** Of each connection in each direction. */
  readonly bytesPerSecond: number
}

interface Target {
  readonly host: string
  readonly port: number
}

interface Healing {
  readonly promise: Promise<void>
  readonly resolve: () => void
}

/**
 * A wire to a server that tests can disturb: a TCP proxy on a port of 127.0.0.1.
 *
 * - `whole` passes everything on
 * - `cut`   a black hole: connections stay open and new ones are taken, and nothing comes through in either direction
 * - `slow`  passes everything on, late and little by little
 *
 * What was sent over a cut wire arrives once it is healed, as TCP sends lost packets again.
 */
export class Wire {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #slowness: Slowness | null = null
  /** Resolves when the wire is healed; null while it is whole or slow. */
  #healed: Healing | null = null

  private constructor(private target: Target) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => void this.#link(socket))
  }

  /** @param to `host:port` of the server */
  static async to(to: string): Promise<Wire> {
    const wire = new Wire(targetOf(to))
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    return wire
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** `127.0.0.1:port`, for those who are to use the wire. */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Leads new connections to another server, as an address does that moves with a fail-over. Those that there are stay where they are. */
  lead(to: string): void {
    this.target = targetOf(to)
  }

  /** Lets nothing through any more, until `heal`. */
  cut(): void {
    this.#healed ??= deferred()
  }

  /** Breaks all connections that there are. New ones are possible at once. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  slow(slowness: Slowness): void {
    this.#slowness = slowness
  }

  heal(): void {
    this.#slowness = null
    this.#healed?.resolve()
    this.#healed = null
  }

  async close(): Promise<void> {
    this.#server.close()
    this.reset()
    this.heal()
  }

  async #link(near: Socket): Promise<void> {
    this.#keep(near)
    await this.#healed?.promise
    if (near.destroyed) return
    const far = socketTo({ ...this.target, allowHalfOpen: true, noDelay: true })
    this.#keep(far)
    const pass = (source: AsyncIterable<Buffer>) => this.#pass(source)
    await Promise.allSettled([pipeline(near, pass, far), pipeline(far, pass, near)])
    near.destroy()
    far.destroy()
  }

  async *#pass(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const data of source) {
      await this.#healed?.promise
      if (this.#slowness) {
        const { latencyMs, bytesPerSecond } = this.#slowness
        await sleep(latencyMs + (data.length * 1_000) / bytesPerSecond)
        await this.#healed?.promise
      }
      yield data
    }
    // A goodbye does not get over a cut wire, either.
    await this.#healed?.promise
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    // What becomes of the connection is the pipelines' affair.
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }
}

function targetOf(address: string): Target {
  const { hostname, port } = new URL(`tcp://${address}`)
  return { host: hostname, port: Number(port) }
}

function deferred(): Healing {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
