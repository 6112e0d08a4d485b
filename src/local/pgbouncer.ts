import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { Server } from './server.js'

export interface PgbouncerOptions {
  /** The server behind it, with user and password. Clients log in as that user. */
  readonly connectionString: string
  readonly mode: 'session' | 'transaction'
  /** Connections to the server for each database and user. */
  readonly poolSize: number
}

export interface LocalPgbouncer {
  /** The address of a database behind it. */
  urlOf(database: string): string
  readonly server: Server
}

/** Starts a PgBouncer in front of a Postgres; resolves when it takes connections. */
export async function startPgbouncer(program: string, options: PgbouncerOptions): Promise<LocalPgbouncer> {
  const behind = new URL(options.connectionString)
  const urlOf = (port: number | undefined, database: string) => {
    const url = new URL(behind)
    url.host = `127.0.0.1:${port}`
    url.pathname = `/${database}`
    return url.href
  }
  const server = await Server.start({
    name: 'pgbouncer',
    ports: 1,
    // It ends at once, instead of waiting for its clients.
    stopSignal: 'SIGTERM',
    stopWithin: 5_000,
    readyWithin: 20_000,
    prepare: async (folder, [port]) => {
      await configure(folder, port!, behind, options)
      return { command: program, args: [join(folder, 'pgbouncer.ini')], cwd: folder }
    },
    ready: ([port]) => ready(urlOf(port, 'postgres')),
  })
  return { urlOf: (database) => urlOf(server.ports[0], database), server }
}

async function configure(folder: string, port: number, behind: URL, options: PgbouncerOptions): Promise<void> {
  const quoted = (text: string) => `"${decodeURIComponent(text).replaceAll('"', '""')}"`
  await writeFile(join(folder, 'users.txt'), `${quoted(behind.username)} ${quoted(behind.password)}\n`, { mode: 0o600 })
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: join(folder, 'users.txt'),
    pool_mode: options.mode,
    default_pool_size: options.poolSize,
    max_client_conn: 500,
    // It refuses to run as root, as we do in many containers.
    ...(process.getuid?.() === 0 ? { user: 'nobody' } : {}),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
  const database = `* = host=${behind.hostname} port=${behind.port || 5432}\n`
  await writeFile(join(folder, 'pgbouncer.ini'), `[databases]\n${database}\n[pgbouncer]\n${lines.join('')}`)
}

async function ready(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select 1')
  } finally {
    await client.end().catch(() => {})
  }
}
