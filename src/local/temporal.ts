import { join } from 'node:path'
import { Connection } from '@temporalio/client'
import { Server, type ServerKind } from './server.js'

export interface TemporalOptions {
  /** Default: one that is free. */
  readonly port?: number
  /** Default: one that is free. */
  readonly uiPort?: number
  /** Default `default`. */
  readonly namespace?: string
  /** Keep histories in a file, so that they survive a restart. In memory, the default, a step costs about half. */
  readonly persist?: boolean
}

export interface TemporalAddress {
  /** `host:port` of the gRPC frontend. */
  readonly address: string
  readonly namespace: string
  /** Null for a server we did not start. */
  readonly uiUrl: string | null
  /** Where the server shows its metrics, in Prometheus' text format. Null for a server we did not start. */
  readonly metricsUrl: string | null
}

/** What Tidemark's workflows write about themselves, so that the Temporal UI can filter by it. */
export const searchAttributes = {
  TidemarkGroup: 'Keyword',
  TidemarkStream: 'Keyword',
  TidemarkSlice: 'Int',
  TidemarkState: 'KeywordList',
} as const

export interface LocalTemporal extends TemporalAddress {
  readonly server: Server
}

/** Starts a Temporal dev server with its UI; resolves when it takes workflows and knows the search attributes. */
export async function startTemporal(program: string, options: TemporalOptions = {}): Promise<LocalTemporal> {
  const server = await Server.start(temporalServer(program, options))
  const [port, uiPort, metricsPort] = server.ports
  return {
    address: `127.0.0.1:${port}`,
    namespace: namespaceOf(options),
    uiUrl: `http://127.0.0.1:${uiPort}`,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    server,
  }
}

const namespaceOf = ({ namespace = 'default' }: TemporalOptions) => namespace

function temporalServer(program: string, options: TemporalOptions): ServerKind {
  const { port, uiPort } = options
  const namespace = namespaceOf(options)
  return {
    name: 'temporal',
    ports: 3,
    ...(port && { at: uiPort ? [port, uiPort] : [port] }),
    stopSignal: 'SIGTERM',
    stopWithin: 5_000,
    readyWithin: 30_000,
    prepare: async (folder, [port, uiPort, metricsPort]) => ({
      command: program,
      args: [
        ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', `${port}`, '--ui-port', `${uiPort}`],
        ...['--metrics-port', `${metricsPort}`, '--namespace', namespace, '--log-level', 'warn'],
        ...Object.entries(searchAttributes).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
        ...(options.persist ? ['--db-filename', join(folder, 'temporal.db')] : []),
      ],
      cwd: folder,
    }),
    ready: ([port]) => ready(`127.0.0.1:${port}`, namespace),
  }
}

async function ready(address: string, namespace: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: 1_000 })
  try {
    const { customAttributes } = await connection.withDeadline(Date.now() + 2_000, () =>
      connection.operatorService.listSearchAttributes({ namespace }),
    )
    const absent = Object.keys(searchAttributes).filter((name) => customAttributes?.[name] === undefined)
    if (absent.length > 0) throw new Error(`search attributes not registered yet: ${absent.join(', ')}`)
  } finally {
    await connection.close()
  }
}
