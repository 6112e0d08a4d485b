import pg from 'pg'
import { expect, it } from 'vitest'
import { createStream } from '../../src/entry/postgres.js'
import { docBlocks } from '../support/doc-blocks.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'

describeWith(['postgres'], 'SQL in README and docs', () => {
  it('runs in a database with the tables of Tidemark', async () => {
    const blocks = docBlocks('sql')
    expect(blocks.length).toBeGreaterThan(0)
    const { connectionString, drop } = await freshDatabase()
    const client = new pg.Client({ connectionString })
    try {
      await createStream(connectionString, { stream: 'orders', partitions: 1 })
      await client.connect()
      for (const { page, line, text } of blocks) {
        // The pages call the worker's user so. Roles are the whole server's, so this one must not stay.
        await client.query('begin; create role worker')
        await expect(client.query(text), `${page}:${line}`).resolves.toBeDefined()
        await client.query('rollback')
      }
    } finally {
      await client.end()
      await drop()
    }
  })
})
