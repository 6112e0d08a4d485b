import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { TidemarkError } from '../model/errors.js'
import type { Log } from '../ports/index.js'
import { describeAddress, type ListenAddress } from './address.js'
import type { WorkerMetrics } from './metrics.js'
import type { Answer, Readiness } from './readiness.js'

const json = 'application/json; charset=utf-8'

interface Page {
  readonly status: number
  readonly type: string
  readonly text: string
}

/** What monitors may ask of a worker: `/livez`, `/readyz`, `/metrics`. */
export class PageServer {
  private constructor(
    private readonly server: Server,
    readonly address: ListenAddress,
  ) {}

  /**
   * @throws TidemarkError CONFIG_INVALID where it can't be listened on
   */
  static async listen(
    wanted: ListenAddress,
    { metrics, readiness, log }: { metrics: WorkerMetrics; readiness: Readiness; log: Log },
  ): Promise<PageServer> {
    const pages: Record<string, () => Page | Promise<Page>> = {
      '/livez': () => pageOf(readiness.live()),
      '/readyz': async () => pageOf(await readiness.ready()),
      '/metrics': async () => ({ status: 200, type: metrics.contentType, text: await metrics.page() }),
    }
    const server = createServer((request, response) => {
      answer(request, response, pages).catch((error) => {
        log.warn({ error: String(error) }, `could not answer ${pathOf(request)}`)
        response.destroy()
      })
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(refused(error, wanted)))
      server.listen(wanted.port, wanted.host, resolve)
    })
    server.on('error', (error) => log.warn({ error: String(error) }, 'the server of /metrics has failed'))
    const address = { host: wanted.host, port: (server.address() as AddressInfo).port }
    log.info(address, `serving ${Object.keys(pages).join(', ')} at ${describeAddress(address)}`)
    return new PageServer(server, address)
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve())
      this.server.closeAllConnections()
    })
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Readonly<Record<string, () => Page | Promise<Page>>>,
): Promise<void> {
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const path = pathOf(request)
  const page = Object.hasOwn(pages, path)
    ? pages[path]!
    : () => problem(404, `there is ${Object.keys(pages).join(', ')}`)
  const { status, type, text } = isRead ? await page() : problem(405, 'only GET is allowed')
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(!isRead && { allow: 'GET, HEAD' }),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0]!
}

function pageOf({ ok, body }: Answer): Page {
  return { status: ok ? 200 : 503, type: json, text: `${JSON.stringify(body)}\n` }
}

function problem(status: number, error: string): Page {
  return { status, type: json, text: `${JSON.stringify({ error })}\n` }
}

function refused(error: NodeJS.ErrnoException, { host, port }: ListenAddress): TidemarkError {
  const why =
    error.code === 'EADDRINUSE'
      ? 'another process listens there; choose another port'
      : error.code === 'EACCES'
        ? 'this user may not; choose a port above 1023'
        : `${error.code ?? error.message}; choose an address that this machine has`
  return new TidemarkError('CONFIG_INVALID', `can't listen on port ${port} of ${host}: ${why}`, {
    cause: error,
  })
}
