import { expect, it } from 'vitest'
import { resumeGroup } from '../../src/client/commands.js'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { run, temporalClient } from '../support/consume.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['postgres', 'temporal'], 'a group whose event stream was restored without its sequence', () => {
  it('is blocked with the statement to run, and goes on after it and a resume', async () => {
    const { connectionString, drop } = await freshDatabase()
    const [stream, group] = [unique('orders'), unique('billing')]
    const pool = poolOf(connectionString)
    const client = await temporalClient()
    await createStream(pool, { stream, partitions: 2 })
    const { address, namespace } = part('temporal')
    const seen: bigint[] = []
    const running = await run(
      defineConfig({
        store: postgresStore({ connectionString }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [
          consumer({
            group,
            source: postgresStream({ connectionString, stream }),
            start: 'first',
            handler: (messages) => {
              seen.push(...messages.map(({ offset }) => offset))
            },
          }),
        ],
      }),
    )
    const append = () =>
      pool.query(`insert into tidemark.events (stream, partition, data) values ($1, 0, '{}')`, [stream])
    try {
      await append()
      await waitFor(() => seen.length === 1, { what: 'the first event' })
      await pool.query(
        `insert into tidemark.events (position, stream, partition, data) overriding system value
         select n, $1, 1, '{}' from generate_series(41, 60) n`,
        [stream],
      )
      const blocked = await waitFor(
        async () => (await groupStatus(client, { group, stream })).partitions.find(({ state }) => state === 'blocked'),
        { what: 'the partition to be blocked', timeout: 40_000 },
      )
      expect(blocked).toMatchObject({
        partition: 1,
        reason: expect.stringContaining('rows were restored or copied without the sequence'),
      })
      await append()
      await waitFor(() => seen.length === 2, { what: 'the other partition to go on' })
      await pool.query(blocked.reason!.match(/select setval\(.*\)\)/)![0])
      await resumeGroup(client, { group, stream }, { partitions: [1] })
      await waitFor(() => seen.length === 22, { what: 'what was restored to be handled' })
      expect(seen.slice(2)).toEqual(Array.from({ length: 20 }, (_, n) => BigInt(41 + n)))
    } finally {
      await running.stop()
      await client.close()
      await pool.end()
      await drop()
    }
  })
})
