import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import { expect, it } from 'vitest'
import type { Transaction } from '../../src/ports/index.js'
import { ChunkTransaction } from '../../src/postgres/store/transaction.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'

type Work = (client: pg.Client, tx: Transaction) => unknown

const insert = 'insert into effects values (1) returning n'
const works: Record<string, Work> = {
  'one statement': (client) => client.query(insert),
  'statements side by side': (client) => Promise.all([client.query(insert), client.query(insert)]),
  'a statement with a callback': (client) => client.query(insert, () => {}),
  'statements that nobody awaits': (client) => void [client.query(insert), client.query(insert)],
  'a cursor': (client) => client.query(new Cursor(insert)).read(1),
  'a statement behind a cursor': (client) => {
    void client.query(new Cursor('select 1')).close()
    return client.query(insert)
  },
  'a COPY': (client) => client.query(copyFrom('copy effects from stdin')).end('1\n'),
  'rows that are copied': (_, tx) => tx.copy('effects', ['n'], [[1]]),
}

// A cancel request or a statement_timeout may come before BEGIN has run. What is sent behind it would be committed by itself.
describeWith(['postgres'], 'a transaction that does not begin', () => {
  it.each(Object.entries(works))('lets %s have no effect, and says why', async (_, work) => {
    const { connectionString, drop } = await freshDatabase()
    const client = await poolOf(connectionString, { max: 1, ...{ pipeline: true } }).connect()
    try {
      await client.query('create table effects (n int)')
      const transaction = new ChunkTransaction(client, 'chunk', () => {})
      // The server refuses the whole message, and BEGIN with it.
      const chunk = transaction.run(
        async (tx) => void (await work(tx.client as pg.Client, tx)),
        'no statement',
        () => 'select 1',
      )
      await expect(chunk).rejects.toThrow('syntax error at or near "no"')
      expect((await client.query('select * from effects')).rows).toEqual([])
    } finally {
      client.release(true)
      await drop()
    }
  })
})
