import { createServer, type Server, type Socket } from 'node:net'
import { Frames } from '../../src/rabbitmq/client/frames.js'
import { waitFor } from './wait-for.js'

/** What a fake broker does instead of what a real one would; `null` says nothing at all. */
export interface Mood {
  readonly version?: string
  /** Ports of the brokers that it says have each stream, the leader first; without them, itself. */
  readonly has?: readonly number[]
  /** Answers a request by its number on the wire; undefined leaves it to the fake. */
  readonly answer?: (key: number, request: Buffer, socket: Socket) => Buffer | null | undefined
}

const text = (value: string) => Buffer.concat([u16(value.length), Buffer.from(value)])
export const u16 = (value: number) => Buffer.from([value >> 8, value & 255])
export const u32 = (value: number) => Buffer.from([value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255])
const u64 = (value: number) => Buffer.concat([u32(0), u32(value)])

/** One frame of the protocol. */
export function frame(key: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat([u16(key), u16(1), ...parts])
  return Buffer.concat([u32(body.length), body])
}

/** Says yes to a request, with these bytes behind it. */
export function yes(key: number, request: Buffer, ...parts: Buffer[]): Buffer {
  return frame(0x8000 | key, request.subarray(8, 12), u16(1), ...parts)
}

/** Speaks as much of the streams' protocol as a test needs whose broker must misbehave. */
export class FakeStreamBroker {
  readonly requests: number[] = []
  readonly sockets = new Set<Socket>()
  readonly #server: Server

  private constructor(private readonly mood: Mood) {
    this.#server = createServer((socket) => {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.sockets.delete(socket))
      const frames = new Frames((request) => this.#answer(request, socket))
      socket.on('data', (data: Buffer) => frames.add(data))
    })
  }

  static async start(mood: Mood = {}): Promise<FakeStreamBroker> {
    const broker = new FakeStreamBroker(mood)
    broker.#server.listen(0, '127.0.0.1')
    await waitFor(() => broker.#server.listening, { what: 'the fake broker to listen' })
    return broker
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  hangUp(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  close(): void {
    this.hangUp()
    this.#server.close()
  }

  #answer(request: Buffer, socket: Socket): void {
    const key = request.readUInt16BE(4)
    this.requests.push(key)
    const told = this.mood.answer?.(key, request, socket)
    const answer = told === undefined ? this.#usual(key, request) : told
    if (answer) socket.write(answer)
  }

  #metadata(request: Buffer, ports: readonly number[]): Buffer {
    const brokers = ports.flatMap((port, index) => [u16(index), text('127.0.0.1'), u32(port)])
    const replicas = ports.slice(1).map((_, index) => u16(index + 1))
    const stream = [u32(1), request.subarray(16), u16(1), u16(0), u32(replicas.length), ...replicas]
    return frame(0x800f, request.subarray(8, 12), u32(ports.length), ...brokers, ...stream)
  }

  #usual(key: number, request: Buffer): Buffer | null {
    const reply = (...parts: Buffer[]) => yes(key, request, ...parts)
    switch (key) {
      case 0x11: // peer properties
        return reply(u32(1), text('version'), text(this.mood.version ?? '4.0.5'))
      case 0x12: // SASL mechanisms
        return reply(u32(1), text('PLAIN'))
      case 0x13: // login, and what the broker proposes then
        return Buffer.concat([reply(), frame(0x14, u32(1_048_576), u32(60))])
      case 0x15: // open
      case 0x1b: // versions
        return reply(u32(0))
      case 0x0f: // metadata
        return this.#metadata(request, this.mood.has ?? [this.port])
      case 0x1c: // stats
        return reply(u32(3), ...['first', 'committed', 'last'].flatMap((name) => [text(`${name}_chunk_id`), u64(0)]))
      case 0x07: // subscribe
      case 0x0c: // unsubscribe
        return reply()
      default:
        return null
    }
  }
}
