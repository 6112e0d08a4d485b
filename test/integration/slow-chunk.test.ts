import { afterEach, beforeEach, expect, it } from 'vitest'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['postgres', 'temporal'], 'a handler that never settles', () => {
  let database: FreshDatabase
  let running: Running | undefined

  beforeEach(async () => {
    database = await freshDatabase()
  })
  afterEach(async () => {
    await running?.stop().catch(() => {})
    running = undefined
    await database.drop()
  })

  it('is shown with the time since when, and tried again after chunkTimeout, with nothing of it left', async () => {
    const { connectionString } = database
    const [stream, group] = [unique('orders'), unique('billing')]
    await createStream(connectionString, { stream, partitions: 1 })
    await rowsOf(connectionString, 'create table paid (n int, try int)')
    await appendEvents(connectionString, stream, [{ key: 'a', value: { n: 1 } }])
    const signals: AbortSignal[] = []
    const { address, namespace } = part('temporal')
    running = await run(
      defineConfig({
        store: postgresStore({ connectionString }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [
          consumer<{ n: number }>({
            group,
            source: postgresStream({ connectionString, stream, partitions: 1 }),
            heartbeatTimeout: '2s',
            chunkTimeout: '15s',
            retry: { initialInterval: '100ms' },
            handler: transactional<{ n: number }>(async (messages, { tx, signal }) => {
              signals.push(signal)
              const attempt = signals.length
              for (const { value } of messages) await tx.query('insert into paid values ($1, $2)', [value.n, attempt])
              if (attempt === 1) await new Promise(() => {})
            }),
          }),
        ],
      }),
    )
    const temporal = await temporalClient()
    try {
      const shown = await waitFor(
        async () => {
          const [one] = (await groupStatus(temporal, { group, stream })).partitions
          return one?.chunkSince !== undefined && one
        },
        { what: 'status to say that the chunk takes long', timeout: 20_000 },
      )
      expect(shown).toMatchObject({ state: 'running', reason: `in this chunk since ${shown.chunkSince}` })
    } finally {
      await temporal.close()
    }
    expect(signals).toHaveLength(1)
    const paid = () => rowsOf<{ n: number; try: number }>(connectionString, 'select n, try from paid')
    await waitFor(async () => (await paid()).length > 0, { what: 'the next try', timeout: 30_000 })
    expect(await paid()).toEqual([{ n: 1, try: 2 }])
    expect(signals[0]!.aborted).toBe(true)
    expect(running.log.lines.join('\n')).toContain('within 15000 ms (chunkTimeout)')
  }, 90_000)
})
