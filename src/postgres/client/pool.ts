import type pg from 'pg'
import { addressText } from '../../model/address.js'
import { messageOf, TidemarkError } from '../../model/errors.js'
import {
  accessDenied,
  isTlsRefusal,
  isUntrustedCertificate,
  streamNotFound,
  tlsRefused,
  unreachable,
  untrustedCertificate,
} from '../../model/peer-errors.js'
import type { ConnectContext } from '../../ports/index.js'
import {
  type Access,
  accessQuery,
  codeOf,
  isLoginRefused,
  isReadOnly,
  loginRefused,
  refusalOf,
  writesRefused,
} from './access.js'
import { answerTimeout, ask } from './ask.js'
import { ControlClient } from './control-client.js'
import { driver } from './driver.js'
import { connectionOf, describePostgres, type PostgresSettings } from './options.js'
import { ownTypes } from './own-types.js'
import { SteadyClient } from './steady-client.js'

/**
 * Connections for control statements (claims, commits, reads of progress). They take milliseconds, one statement serves many
 * partitions, and they must not wait for a connection that a handler holds.
 */
export const controlConnections = 2

interface Shared {
  readonly pool: pg.Pool
  readonly control: pg.Pool
  users: number
}

/** Pools by address: a store, its database and handlers' databases in one process share connections. */
const pools = new Map<string, Shared>()

/** Pools that several users hold. They end with the last `close`. */
export interface PooledPostgres {
  /** For handlers' transactions, and whatever else may take long. */
  readonly pool: pg.Pool
  /** For control statements. Nothing may keep one of its connections. */
  readonly control: pg.Pool
  close(): Promise<void>
}

/**
 * Opens (or joins) the pools of a database and proves that it answers and takes writes.
 *
 * @throws TidemarkError UNREACHABLE, also of a standby; AUTH_FAILED; STREAM_NOT_FOUND when the server has no such database;
 *   CONFIG_INVALID where transactions are read-only by default
 */
export async function openPool(settings: PostgresSettings, { log }: ConnectContext): Promise<PooledPostgres> {
  const { connectionString, poolSize, ssl } = settings
  const id = JSON.stringify([connectionString, poolSize, ssl])
  let shared = pools.get(id)
  if (!shared) {
    // Pipelining: statements that need no answer before the next one go out together.
    const options = {
      ...connectionOf(settings),
      pipeline: true,
      keepAlive: true,
      // Linux waits two hours by itself before it asks whether the server is still there.
      keepAliveInitialDelayMillis: 10_000,
    }
    const open = (Client: typeof SteadyClient, max: number, min: number) => {
      // `min` idle connections stay open, so that the first message after a quiet time does not wait for a new one.
      const pool = new driver.Pool({ ...options, Client, max, min } as pg.PoolConfig)
      // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
      pool.on('error', (error) => log.warn({ error: messageOf(error) }, 'an idle Postgres connection broke'))
      return pool
    }
    const pool = open(SteadyClient, poolSize, 1)
    const control = open(ControlClient, controlConnections, controlConnections)
    shared = { pool, control, users: 0 }
    pools.set(id, shared)
  }
  const held = shared
  held.users++
  let open = true
  const close = async () => {
    if (!open) return
    open = false
    if (--held.users > 0) return
    pools.delete(id)
    await Promise.all([held.pool.end(), held.control.end()])
  }
  try {
    const { rows } = await held.control.query<Access>({ text: accessQuery, types: ownTypes })
    const refusal = refusalOf(rows[0]!, placeOf(settings), userOf(settings))
    if (refusal) throw refusal
    if (held.users === 1 && userOf(settings) === settings.schema)
      log.warn(
        { user: settings.schema, schema: settings.schema },
        `the user of ${placeOf(settings)} is named like Tidemark's schema '${settings.schema}', so Postgres looks for tables without a schema's name there first, and makes them there: ` +
          "connect as another user, give Tidemark another 'schema', or set the user's search_path",
      )
  } catch (error) {
    await close()
    throw connectError(error, settings)
  }
  return { pool: held.pool, control: held.control, close }
}

/** Opens up to `count` connections of a pool. Where a server has none to spare, or does not answer, whoever needs one says so. */
export async function openConnections(pool: pg.Pool, count: number): Promise<void> {
  const open = () => ask(pool, 'select 1', [], { within: answerTimeout })
  await Promise.allSettled(Array.from({ length: count }, open))
}

/** SQLSTATE of a user without a right. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const noRight = '42501'
const noDatabase = '3D000'

/** What a failed first connection means, in words that say what to do. A wrong password is one that waiting does not mend. */
export function connectError(error: unknown, settings: PostgresSettings): unknown {
  if (isTlsRefusal(error)) return tlsRefused({ where: serverOf(settings), cause: error })
  if (isUntrustedCertificate(error)) return untrustedCertificate({ where: serverOf(settings), cause: error })
  if (/does not support SSL/.test(messageOf(error))) {
    const text = `${serverOf(settings)} takes no TLS: switch it on there, or leave out 'ssl' in the config and 'sslmode' in the address`
    return new TidemarkError('CONFIG_INVALID', text, { cause: error })
  }
  if (!isLoginRefused(error)) return postgresError(error, settings)
  return accessDenied(`this user (${messageOf(error)})`, {
    where: placeOf(settings),
    toDo: 'check the user, its password and its rights',
    cause: error,
  })
}

/** What a failed statement means, in words that say what to do, where the server has let this user in before. */
export function postgresError(error: unknown, settings: PostgresSettings): unknown {
  const where = placeOf(settings)
  const code = codeOf(error)
  if (code === noRight)
    return accessDenied(`this user (${messageOf(error)})`, {
      where,
      toDo: `give user '${userOf(settings)}' the rights that docs/postgres.md lists`,
      cause: error,
    })
  if (code === noDatabase)
    return streamNotFound(`database '${describePostgres(settings).database}'`, {
      where: serverOf(settings),
      toDo: 'create it, or correct the connection string',
      cause: error,
    })
  if (isReadOnly(error)) return writesRefused(where, error)
  if (isLoginRefused(error)) return loginRefused(where, messageOf(error), error)
  if (isOutage(error))
    return unreachable({ where: serverOf(settings), toDo: 'is it running, and is the address right?', cause: error })
  return error
}

/**
 * True where trying again later can help: nobody answers, or the server is starting, stopping or full. Also where it takes no writes or
 * no longer lets the user in: a fail-over ends, and people mend a password.
 */
export function isOutage(error: unknown): boolean {
  const errors = [error, ...(error instanceof AggregateError ? error.errors : [])]
  return (
    errors.some(
      (one) =>
        isReadOnly(one) ||
        isLoginRefused(one) ||
        /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOSTUNREACH|EPIPE|57P0|53300|08)/.test(codeOf(one)),
    ) || /Connection terminated|timeout expired|Query read timeout|not queryable/i.test(messageOf(error))
  )
}

/** A store and its handlers may be in two databases of one server, so the place names the database, too. */
function placeOf(settings: PostgresSettings): string {
  return `${serverOf(settings)}/${describePostgres(settings).database}`
}

function serverOf(settings: PostgresSettings): string {
  const { host, port } = describePostgres(settings)
  return `Postgres at ${addressText({ host: String(host), port: Number(port) })}`
}

function userOf({ connectionString }: PostgresSettings): string {
  return new driver.Client({ connectionString }).user ?? ''
}
