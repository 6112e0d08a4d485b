import { randomBytes } from 'node:crypto'
import { chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { run } from './command.js'
import type { Login } from './login.js'
import { copyForStandby, type Followed } from './postgres-standby.js'
import { postgresUser, runnableBy } from './postgres-user.js'
import { Server, type ServerKind } from './server.js'

export interface PostgresOptions {
  /** Default: one that is free. */
  readonly port?: number
  /** Its superuser. Default: `app` with a password of its own. */
  readonly login?: Login
  /** Whether commits reach the disk (fsync). True unless told: turn it off only where losing data proves nothing. */
  readonly durable?: boolean
  /** More environment variables of the server's process. */
  readonly env?: Readonly<Record<string, string>>
  /** Makes it a standby of another server, rather than an empty one. */
  readonly follows?: Followed
}

export interface LocalPostgres {
  readonly connectionString: string
  readonly server: Server
}

/** Starts an empty Postgres, or a standby, from the programs in `bin`; resolves when it takes connections. */
export async function startPostgres(bin: string, options: PostgresOptions = {}): Promise<LocalPostgres> {
  // Trusting everybody on 127.0.0.1 would give every user of the machine a superuser that can run programs.
  // A standby has the users of its primary.
  const { follows } = options
  const login = options.login ?? {
    user: 'app',
    password: follows ? new URL(follows.primary.connectionString).password : randomBytes(12).toString('hex'),
  }
  const who = [login.user, login.password].map(encodeURIComponent).join(':')
  const url = (port: number | undefined) => `postgresql://${who}@127.0.0.1:${port}/postgres`
  const server = await Server.start(postgresServer(bin, options, login, url))
  return { connectionString: url(server.ports[0]), server }
}

function postgresServer(
  bin: string,
  { durable = true, env, follows, port }: PostgresOptions,
  { user: superuser, password }: Login,
  url: (port: number | undefined) => string,
): ServerKind {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    max_prepared_transactions: 20,
    log_min_messages: 'warning',
    // Each database of a test run is new; nobody gains from its vacuum or from a pause for a checkpoint.
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  }
  let launch: { command: string; args: string[]; cwd: string; uid?: number; gid?: number } | null = null
  return {
    name: 'postgres',
    ports: 1,
    ...(port && { at: [port] }),
    // "Fast": ends the sessions instead of waiting for their clients.
    stopSignal: 'SIGINT',
    stopWithin: 10_000,
    readyWithin: 60_000,
    prepare: async (folder, [port]) => {
      launch ??= await initialise(folder)
      return { ...launch, args: [...launch.args, '-p', `${port}`], ...(env && { env: { ...process.env, ...env } }) }
    },
    ready: ([port]) => ready(url(port)),
  }

  async function initialise(folder: string) {
    const user = await postgresUser()
    if (user.uid !== undefined) await chown(folder, user.uid, user.gid!)
    const programs = await runnableBy(user, bin, folder)
    const data = join(folder, 'data')
    await mkdir(data, { mode: 0o700 })
    if (user.uid !== undefined) await chown(data, user.uid, user.gid!)
    const within = { ...user, cwd: folder }
    if (follows) await copyForStandby(follows, data, within)
    else {
      const passwordFile = join(folder, 'password')
      await writeFile(passwordFile, `${password}\n`)
      const how = ['-U', superuser, '-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions']
      await run(join(programs, 'initdb'), ['-D', data, `--pwfile=${passwordFile}`, ...how], within)
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    return { command: join(programs, 'postgres'), args: ['-D', data, ...flags], ...within }
  }
}

async function ready(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000 })
  // A server that ends under us is an answer too, not an accident.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select 1')
  } finally {
    await client.end().catch(() => {})
  }
}

/** Makes a database where the server has none of that name. */
export async function createDatabase(connectionString: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    const { rows } = await client.query('select 1 from pg_database where datname = $1', [name])
    if (rows.length === 0) await client.query(`create database ${pg.escapeIdentifier(name)}`)
  } finally {
    await client.end()
  }
}
