import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { columnsOf, insertInto, type Payload } from '../insert.js'
import type { Contender, Job, LogJob } from '../job.js'

/** Batches that are inserted at the same time. More of them would only wait for the database. */
const atATime = 16

/**
 * What an engineer who knows kafkajs and Postgres would write by hand: up to 16 partitions at once, one insert of many rows for each
 * batch, and the offset committed by hand after it. At least once: a crash between insert and commit repeats the batch.
 */
export async function startPlainKafka(job: Job, log: LogJob & { kind: 'kafka' }): Promise<Contender> {
  const pool = new pg.Pool({ connectionString: job.connectionString, max: atATime })
  const kafka = new Kafka({ clientId: 'plain', brokers: [...log.brokers], logLevel: logLevel.ERROR })
  // Larger fetches make larger inserts; waiting shorter for an empty partition is quicker to see the others.
  const consumer = kafka.consumer({ groupId: job.group, maxBytesPerPartition: 2_000_000, maxWaitTimeInMs: 100 })
  const insert = insertInto(job.table)
  await pool.query('select 1')
  await consumer.connect()
  await consumer.subscribe({ topic: log.topic, fromBeginning: true })

  return {
    go: () =>
      consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: Math.min(job.partitions, atATime),
        eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary }) => {
          const { topic, partition } = batch
          await pool.query(insert, columnsOf(partition, decoded(batch.messages)))
          resolveOffset(batch.lastOffset())
          const offset = (BigInt(batch.lastOffset()) + 1n).toString()
          await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] })
        },
      }),
    stop: async () => {
      await consumer.disconnect()
      await pool.end()
      return { historyEvents: 0 }
    },
  }
}

function* decoded(messages: readonly { readonly offset: string; readonly value: Buffer | null }[]) {
  for (const { offset, value } of messages) yield { offset, value: JSON.parse(value!.toString()) as Payload }
}
