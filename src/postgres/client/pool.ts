import pg from 'pg'
import { messageOf } from '../../model/errors.js'
import { accessDenied, streamNotFound, unreachable } from '../../model/peer-errors.js'
import type { ConnectContext } from '../../ports/index.js'
import { answerTimeout, ask } from './ask.js'
import { ControlClient } from './control-client.js'
import { describePostgres, type PostgresSettings } from './options.js'
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
 * Opens (or joins) the pools of a database and proves that it answers.
 *
 * @throws TidemarkError UNREACHABLE, AUTH_FAILED, or STREAM_NOT_FOUND when the server has no such database
 */
export async function openPool(settings: PostgresSettings, { log }: ConnectContext): Promise<PooledPostgres> {
  const { connectionString, poolSize, ssl } = settings
  const id = JSON.stringify([connectionString, poolSize, ssl])
  let shared = pools.get(id)
  if (!shared) {
    // Pipelining: statements that need no answer before the next one go out together.
    const options = {
      connectionString,
      pipeline: true,
      keepAlive: true,
      // Linux waits two hours by itself before it asks whether the server is still there.
      keepAliveInitialDelayMillis: 10_000,
      ...(ssl === undefined ? {} : { ssl }),
    }
    const open = (Client: typeof SteadyClient, max: number, min: number) => {
      // `min` idle connections stay open, so that the first message after a quiet time does not wait for a new one.
      const pool = new pg.Pool({ ...options, Client, max, min } as pg.PoolConfig)
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
    await held.control.query('select 1')
  } catch (error) {
    await close()
    throw postgresError(error, settings)
  }
  return { pool: held.pool, control: held.control, close }
}

/** Opens up to `count` connections of a pool. Where a server has none to spare, or does not answer, whoever needs one says so. */
export async function openConnections(pool: pg.Pool, count: number): Promise<void> {
  const open = () => ask(pool, 'select 1', [], { within: answerTimeout })
  await Promise.allSettled(Array.from({ length: count }, open))
}

/** SQLSTATEs that mean something to a person. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const refused = new Set(['28P01', '28000', '42501'])
const noDatabase = '3D000'

/** What a failed connection or statement means, in words that say what to do. */
export function postgresError(error: unknown, settings: PostgresSettings): unknown {
  const { host, port, database } = describePostgres(settings)
  const code = typeof error === 'object' && error !== null ? String(Reflect.get(error, 'code') ?? '') : ''
  const where = `Postgres at ${host}:${port}`
  if (refused.has(code))
    return accessDenied(`this user (${messageOf(error)})`, {
      where,
      toDo: 'check the user, its password and its rights',
      cause: error,
    })
  if (code === noDatabase)
    return streamNotFound(`database '${database}'`, {
      where,
      toDo: 'create it, or correct the connection string',
      cause: error,
    })
  if (isOutage(error)) return unreachable({ where, toDo: 'is it running, and is the address right?', cause: error })
  return error
}

/** True where trying again later can help: nobody answers, or the server is starting, stopping or full. */
export function isOutage(error: unknown): boolean {
  const codes = [error, ...(error instanceof AggregateError ? error.errors : [])].map((one) =>
    typeof one === 'object' && one !== null ? String(Reflect.get(one, 'code') ?? '') : '',
  )
  return (
    codes.some((code) => /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOSTUNREACH|EPIPE|57P0|53300|08)/.test(code)) ||
    /Connection terminated|timeout expired|Query read timeout|not queryable/i.test(messageOf(error))
  )
}
