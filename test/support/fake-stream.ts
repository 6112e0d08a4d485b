import type { Socket } from 'node:net'
import { crc32 } from '@node-rs/crc32'
import { FakeStreamBroker, frame, u16, u32, yes } from './fake-stream-broker.js'

/** One chunk of a log as a test writes it. */
export interface LogChunk {
  readonly first: number
  /** Their text; empty ones stand for bytes that are no message. */
  readonly messages: readonly string[]
  readonly timestamp?: number
  readonly epoch?: number
  /** Kept by the broker for itself. */
  readonly note?: boolean
  readonly damaged?: boolean
}

interface Reading {
  readonly socket: Socket
  readonly notes: boolean
  position: bigint
  credit: number
}

const u64 = (value: bigint | number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}
const requests = { queryOffset: 0x0b, stats: 0x1c, subscribe: 0x07, credit: 0x09, unsubscribe: 0x0c }
const noOffset = 19

/** A broker with one stream, whose log a test writes as it likes. */
export class FakeStream {
  /** First offsets of the chunks of messages that were sent. */
  readonly sent: number[] = []
  readonly #readings = new Map<string, Reading>()
  #log: readonly LogChunk[] = []

  private constructor(readonly broker: FakeStreamBroker) {}

  static async start(log: readonly LogChunk[]): Promise<FakeStream> {
    const broker = await FakeStreamBroker.start({
      answer: (key, request, socket) => stream.#answer(key, request, socket),
    })
    const stream = new FakeStream(broker)
    stream.#log = log
    return stream
  }

  /** Replaces the log, and sends the rest of it to those who wait. */
  write(log: readonly LogChunk[]): void {
    this.#log = log
    for (const [id, reading] of this.#readings) this.#send(Number(id.split(' ')[1]), reading)
  }

  #answer(key: number, request: Buffer, socket: Socket): Buffer | null | undefined {
    const id = (at: number) => `${socket.remotePort} ${request[at]}`
    switch (key) {
      case requests.queryOffset:
        return frame(0x8000 | key, request.subarray(8, 12), u16(noOffset), u64(0))
      case requests.stats:
        return this.#stats(request)
      case requests.subscribe: {
        const start = request.subarray(13 + 2 + request.readUInt16BE(13))
        const notes = request.includes('chunk_selector')
        // By an offset, or with the last chunk of messages.
        const last = this.#log.findLast(({ note }) => !note)?.first ?? 0
        const position = start.readUInt16BE() === 4 ? start.readBigUInt64BE(2) : BigInt(last)
        this.#readings.set(id(12), { socket, notes, position, credit: 0 })
        return yes(key, request)
      }
      case requests.unsubscribe:
        this.#readings.delete(id(12))
        return undefined
      case requests.credit: {
        const reading = this.#readings.get(id(8))
        if (!reading) return null
        reading.credit += request.readUInt16BE(9)
        this.#send(request[8]!, reading)
        return null
      }
      default:
        return undefined
    }
  }

  #stats(request: Buffer): Buffer {
    const [first, last] = [this.#log.at(0)?.first ?? -1, this.#log.at(-1)?.first ?? -1]
    const parts = Object.entries({ first, committed: last, last }).flatMap(([name, value]) => {
      const text = `${name}_chunk_id`
      return [u16(text.length), Buffer.from(text), u64(value)]
    })
    return yes(requests.stats, request, u32(3), ...parts)
  }

  #send(id: number, reading: Reading): void {
    for (const chunk of this.#log) {
      const next = BigInt(chunk.first + chunk.messages.length)
      if (next <= reading.position || (chunk.note && !reading.notes)) continue
      if (reading.credit === 0 || reading.socket.destroyed) return
      reading.credit--
      reading.position = next
      if (!reading.notes) this.sent.push(chunk.first)
      const committed = u64(this.#log.at(-1)!.first)
      const body = Buffer.concat([u16(0x08), u16(2), Buffer.from([id]), committed, bytesOf(chunk)])
      reading.socket.write(Buffer.concat([u32(body.length), body]))
    }
  }
}

function bytesOf({ first, messages, timestamp = 0, epoch = 1, note, damaged }: LogChunk): Buffer {
  const data = Buffer.concat(
    messages.map((message) => {
      const text = Buffer.from(message)
      const amqp = Buffer.concat([Buffer.from([0, 0x53, 0x75, 0xa0, text.length]), text])
      const body = message === '' ? Buffer.from('garbage') : amqp
      return Buffer.concat([u32(body.length), body])
    }),
  )
  const sum = crc32(data)
  const header = [u16(messages.length), u32(messages.length), u64(timestamp), u64(epoch), u64(first)]
  const rest = [u32(damaged ? sum ^ 1 : sum), u32(data.length), Buffer.alloc(8)]
  return Buffer.concat([Buffer.from([0x50, note ? 1 : 0]), ...header, ...rest, data])
}
