import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { expect, it } from 'vitest'
import { createOwnDatabase } from '../../src/local/own-database.js'
import { describeWith, part } from '../support/parts.js'

const program = fileURLToPath(new URL('../../src/local/drop-process.mjs', import.meta.url))

describeWith(['postgres'], 'databases of a process that is gone', () => {
  it('are dropped, except those that it has dropped itself', async () => {
    const server = part('postgres').connectionString
    const [left, kept] = await Promise.all([createOwnDatabase(server, 'left'), createOwnDatabase(server, 'kept')])
    const nameOf = ({ connectionString }: { connectionString: string }) => new URL(connectionString).pathname.slice(1)
    // Somebody who is still connected does not keep it.
    await left.query('select 1')
    const dropper = spawn(process.execPath, [program], { stdio: ['pipe', 'ignore', 'ignore'] })
    for (const one of [left, kept]) dropper.stdin.write(`${JSON.stringify({ server, drop: nameOf(one) })}\n`)
    dropper.stdin.end(`${JSON.stringify({ forget: nameOf(kept) })}\n`)
    expect(await once(dropper, 'exit')).toEqual([0, null])

    const client = new pg.Client({ connectionString: server })
    await client.connect()
    const { rows } = await client.query('select datname from pg_database where datname = any($1)', [
      [nameOf(left), nameOf(kept)],
    ])
    await client.end()
    expect(rows).toEqual([{ datname: nameOf(kept) }])
    await kept.drop()
  })
})
