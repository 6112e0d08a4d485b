import pg from 'pg'
import { Offset } from 'rabbitmq-stream-js-client'
import { columnsOf, insertInto, type Payload } from '../insert.js'
import type { Contender, Job, LogJob } from '../job.js'
import { rabbitmqClient } from '../streams.js'
import { Batches } from './batches.js'

/**
 * What somebody who knows rabbitmq-stream-js-client and Postgres would write by hand: a consumer for each partition, each on a
 * connection of its own, with the only credit policy that keeps the order (the default); one insert of many rows for each batch,
 * and the offset stored after it. At least once: a crash between insert and storing repeats the batch.
 */
export async function startPlainRabbitmq(job: Job, log: LogJob & { kind: 'rabbitmq' }): Promise<Contender> {
  const pool = new pg.Pool({ connectionString: job.connectionString, max: 10 })
  const client = await rabbitmqClient(log.url)
  const insert = insertInto(job.table)
  await pool.query('select 1')
  const streams = await client.queryPartitions({ superStream: log.superStream })

  async function consume(stream: string, partition: number): Promise<void> {
    const batches = new Batches(async (rows) => {
      await pool.query(insert, columnsOf(partition, rows))
      await (await consuming).storeOffset(rows.at(-1)!.offset)
    })
    // `declareSuperStreamConsumer` would do the same, but names no partition to its handler.
    const consuming = client.declareConsumer(
      { stream, consumerRef: job.group, offset: Offset.first() },
      ({ offset, content }) => batches.add({ offset: offset!, value: JSON.parse(content.toString()) as Payload }),
    )
    await consuming
  }

  return {
    go: async () => {
      await Promise.all(streams.map(consume))
    },
    stop: async () => {
      await client.close()
      await pool.end()
      return { historyEvents: 0 }
    },
  }
}
