/*
 * Drops the databases of a process that is gone, however it ended. It holds a pipe to that process; when the pipe closes, it drops what
 * was not forgotten before.
 *
 * Plain JavaScript, because it must run from source as well as from dist, without a loader.
 *
 * stdin  {"server": connection string, "drop": name}   on the command line, everybody could read the password
 *        {"forget": name}                              it has been dropped
 */
import { createInterface } from 'node:readline'

const servers = new Map()

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { server, drop, forget } = JSON.parse(line)
    if (forget) servers.delete(forget)
    else servers.set(drop, server)
  })
  .on('close', async () => {
    if (servers.size === 0) return
    const { default: pg } = await import('pg')
    for (const [name, connectionString] of servers) {
      const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000 })
      client.on('error', () => {})
      try {
        await client.connect()
        await client.query(`drop database if exists ${name} with (force)`)
      } catch {
        // A server that is gone as well has nothing to be dropped.
      } finally {
        await client.end().catch(() => {})
      }
    }
  })

// It ends with the pipe: whoever ends its process group means that of the tests.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => {})
