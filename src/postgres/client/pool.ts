import pg from 'pg'
import { messageOf } from '../../model/errors.js'
import { accessDenied, streamNotFound, unreachable } from '../../model/peer-errors.js'
import type { ConnectContext } from '../../ports/index.js'
import { describePostgres, type PostgresSettings } from './options.js'
import { SteadyClient } from './steady-client.js'

interface Shared {
  readonly pool: pg.Pool
  users: number
}

/** Pools by address: a store, its database and handlers' databases in one process share connections. */
const pools = new Map<string, Shared>()

/** A pool that several users hold. It ends with the last `close`. */
export interface PooledPostgres {
  readonly pool: pg.Pool
  close(): Promise<void>
}

/**
 * Opens (or joins) the pool of a database and proves that it answers.
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
      Client: SteadyClient,
      max: poolSize,
      pipeline: true,
      keepAlive: true,
      // Linux waits two hours by itself before it asks whether the server is still there.
      keepAliveInitialDelayMillis: 10_000,
      ...(ssl === undefined ? {} : { ssl }),
    }
    shared = { pool: new pg.Pool(options as pg.PoolConfig), users: 0 }
    // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
    shared.pool.on('error', (error) => log.warn({ error: messageOf(error) }, 'an idle Postgres connection broke'))
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
    await held.pool.end()
  }
  try {
    await held.pool.query('select 1')
  } catch (error) {
    await close()
    throw postgresError(error, settings)
  }
  return { pool: held.pool, close }
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
