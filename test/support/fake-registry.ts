import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Schema {
  readonly schema: string
  readonly schemaType?: string
}

/** As much of Confluent's schema registry as a client needs that registers schemas and asks for them by ID. */
export class FakeRegistry {
  readonly #schemas: Schema[] = []
  #server: Server | null = null
  #port = 0

  static async start(): Promise<FakeRegistry> {
    const registry = new FakeRegistry()
    await registry.up()
    return registry
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Listens where it did before. */
  async up(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response))
    this.#server = server
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
  }

  /** Refuses connections from now on. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (!server) return
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' }).end(JSON.stringify(body))
    }
    const { method, url = '' } = request
    const [, id] = /^\/schemas\/ids\/(\d+)$/.exec(url) ?? []
    if (id !== undefined) {
      const schema = this.#schemas[Number(id) - 1]
      answer(schema ? 200 : 404, schema ?? { error_code: 40403, message: 'Schema not found' })
    } else if (method === 'POST' && /^\/subjects\/[^/]+\/versions$/.test(url)) {
      let text = ''
      for await (const piece of request) text += String(piece)
      answer(200, { id: this.#schemas.push(JSON.parse(text) as Schema) })
    } else if (method === 'PUT') answer(200, {})
    else answer(404, { error_code: 40401, message: 'Subject not found' })
  }
}
