import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A service that handlers need. It can be away. */
export class Service {
  #server: Server | null = null
  #port = 0

  static async start(): Promise<Service> {
    const service = new Service()
    await service.back()
    return service
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`
  }

  back(): Promise<void> {
    const server = createServer((_, answer) => answer.end('ok'))
    this.#server = server
    return new Promise((resolve) =>
      server.listen(this.#port, '127.0.0.1', () => {
        this.#port = (server.address() as AddressInfo).port
        resolve()
      }),
    )
  }

  async away(): Promise<void> {
    const server = this.#server
    this.#server = null
    server?.closeAllConnections()
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
  }
}
