import pg from 'pg'
import * as vitest from 'vitest'
import { createStream, postgresStream } from '../../src/entry/postgres.js'
import { type SourceHarness, verifySource } from '../../src/testing/contracts/source.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'

describeWith(['postgres'], 'Postgres', () => {
  const open = async (): Promise<SourceHarness> => {
    const database = await freshDatabase()
    const { connectionString } = database
    const pool = new pg.Pool({ connectionString })
    return {
      createStream: async (partitions) => {
        const stream = unique('contract')
        await createStream(pool, { stream, partitions })
        return {
          name: stream,
          source: (value) => postgresStream({ connectionString, stream, ...(value ? { value } : {}) }),
          // By SQL, because appendEvents chooses the partition itself.
          append: async (partition, values, { key, headers } = {}) => {
            await pool.query(
              `insert into tidemark.events (stream, partition, key, data, headers)
               select $1, $2, $3, d, $4 from unnest($5::jsonb[]) with ordinality v (d, n) order by n`,
              [
                stream,
                partition,
                key ?? null,
                headers ? JSON.stringify(headers) : null,
                values.map((v) => JSON.stringify(v)),
              ],
            )
          },
          drop: async () => {
            await pool.query('delete from tidemark.events where stream = $1', [stream])
            await pool.query('delete from tidemark.streams where stream = $1', [stream])
          },
        }
      },
      unknownStream: () => postgresStream({ connectionString, stream: unique('missing') }),
      // Port 1 of this machine: nobody listens there.
      unreachable: () => postgresStream({ connectionString: 'postgres://someone@127.0.0.1:1/nothing', stream: 'any' }),
      close: async () => {
        await pool.end()
        await database.drop()
      },
    }
  }
  verifySource(vitest, 'Postgres', open, { contiguous: false })
})
