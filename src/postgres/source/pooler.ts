import type pg from 'pg'
import { ask } from '../client/ask.js'

const backend = 'select pg_backend_pid() as pid'
/** A pooler may take turns among its connections; then the second look shows it. */
const looks = 3
const lookTimeout = 10_000

/**
 * Whether a pooler between this process and Postgres lends a connection for one transaction only, as PgBouncer does with
 * `pool_mode = transaction`. LISTEN seems to work there, but notifications reach nobody.
 *
 * A pooler tells clients a process ID of its own making. One that keeps a server's process for each client never gives two clients the
 * same one, and no client another one.
 *
 * @param client a connection that is not the pool's
 */
export async function isSharedByTransactions(client: pg.Client, pool: pg.Pool): Promise<boolean> {
  const own = async () => (await client.query<{ pid: number }>(backend)).rows[0]!.pid
  const first = await own()
  if (first === Reflect.get(client, 'processID')) return false
  for (let look = 0; look < looks; look++) {
    const [other] = await ask<{ pid: number }>(pool, backend, [], { within: lookTimeout })
    if (other!.pid === first || (await own()) !== first) return true
  }
  return false
}
