import { appendFile, chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './command.js'
import type { RunAs } from './postgres-user.js'
import type { Server } from './server.js'

/** The server that a standby is made of, and gets its WAL from. */
export interface Followed {
  /** It is stopped for a moment, while its data is copied. */
  readonly primary: { readonly connectionString: string; readonly server: Server }
  /** `host:port` where the standby reaches it. */
  readonly address: string
}

/** Copies a server's data into the empty folder `data`, as those of a standby that streams from it. Not with pg_basebackup, which npm's Postgres lacks. */
export async function copyForStandby({ primary, address }: Followed, data: string, user: RunAs): Promise<void> {
  const { username, password } = new URL(primary.connectionString)
  await primary.server.stop()
  await run('cp', ['-a', `${join(primary.server.folder, 'data')}/.`, data], user)
  await primary.server.restart()
  const { hostname, port } = new URL(`tcp://${address}`)
  await appendFile(
    join(data, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=${hostname} port=${port} user=${username} password=${password}'\n` +
      `wal_retrieve_retry_interval = '100ms'\n`,
  )
  const signal = join(data, 'standby.signal')
  await writeFile(signal, '')
  if (user.uid !== undefined) await chown(signal, user.uid, user.gid!)
}
