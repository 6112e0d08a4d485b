import * as vitest from 'vitest'
import { createStream, postgresStream } from '../../src/entry/postgres.js'
import { verifySource } from '../../src/testing/contracts/source.js'
import type { HarnessMessage, SourceHarness } from '../../src/testing/contracts/source-harness.js'
import { emptyDatabase } from '../support/empty-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { unique } from '../support/unique.js'

describeWith(['postgres'], 'Postgres', () => {
  const open = async (): Promise<SourceHarness> => {
    const database = await emptyDatabase()
    const { connectionString } = database
    const pool = poolOf(connectionString)
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
          appendRaw: async (partition, messages) => {
            for (const { key, value, headers } of messages)
              await pool.query(
                'insert into tidemark.events (stream, partition, key, data, headers) values ($1, $2, $3, $4, $5)',
                [stream, partition, key && String(key), String(value), headersOf(headers)],
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
  verifySource(vitest, 'Postgres', open, {
    contiguous: false,
    cannotHold: ['binary key', 'null value', 'empty value', 'binary value', 'binary header'],
  })
})

/** A header that occurs several times is a list. */
function headersOf(headers: HarnessMessage['headers']): string | null {
  const found: Record<string, (string | null)[]> = {}
  for (const [name, value] of headers) found[name] = [...(found[name] ?? []), value && String(value)]
  return headers.length === 0 ? null : JSON.stringify(found)
}
