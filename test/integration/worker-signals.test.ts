import { afterAll, beforeAll, expect, it } from 'vitest'
import { appendEvents, createStream } from '../../src/entry/postgres.js'
import { Project } from '../support/cli.js'
import { rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['temporal', 'postgres'], 'a worker that is asked to end', () => {
  let database: FreshDatabase
  let project: Project
  const stream = unique('orders')

  beforeAll(async () => {
    database = await freshDatabase()
    const { connectionString } = database
    await createStream(connectionString, { stream, partitions: 1 })
    await rowsOf(connectionString, 'create table effects (n int)')
    await appendEvents(connectionString, stream, [{ key: 'a', value: { n: 1 } }])
    project = await Project.create({ DATABASE_URL: connectionString })
    await project.write(
      'tidemark.config.ts',
      `
      import { consumer, defineConfig, transactional } from 'tidemark'
      import { postgresStore, postgresStream } from 'tidemark/postgres'
      const connectionString = process.env.DATABASE_URL!
      export default defineConfig({
        store: postgresStore({ connectionString }),
        taskQueue: '${unique('queue')}',
        consumers: [consumer({
          group: 'bank',
          source: postgresStream({ connectionString, stream: '${stream}' }),
          handler: transactional(async (_, { tx }) => {
            await tx.query('insert into effects values (1)')
            process.stderr.write('in hand\\n')
            await new Promise(() => {})
          }),
        })],
      })`,
    )
  })
  afterAll(async () => {
    await project.close()
    await database.drop()
  })

  it('waits for the chunk in hand at SIGTERM, and ends at once at the second one, with nothing done', async () => {
    const worker = project.start(['start'])
    await worker.said('in hand')
    process.kill(worker.pid, 'SIGTERM')
    await worker.said('finishes the chunks in hand')
    expect(worker.ended).toBeNull()
    process.kill(worker.pid, 'SIGTERM')
    const { code } = await waitFor(() => worker.ended, { what: 'the end', timeout: 3_000 })
    expect(code).toBe(143)
    expect(await rowsOf(database.connectionString, 'select from effects')).toEqual([])
  })
})
