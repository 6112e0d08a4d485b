import { Client, Connection } from '@temporalio/client'
import { DefaultLogger, Runtime } from '@temporalio/worker'
import {
  consumer,
  createWorker,
  deadLetter,
  defineConfig,
  type Message,
  retryLater,
  type Source,
  startGroups,
  transactional,
} from 'tidemark'
import { postgresStore } from 'tidemark/postgres'
import { historyEvents, sliceIds, terminate } from '../history.js'
import { columnsOf, copiedColumns, insertInto, type Payload, rowsOf } from '../insert.js'
import { type Contender, type Job, type LogJob, withCopy, withDedupe } from '../job.js'

/** Tidemark as its users write it, with its defaults: the same insert, with effects that happen once. */
export async function startTidemark(job: Job): Promise<Contender> {
  Runtime.install({ logger: new DefaultLogger('ERROR') })
  const insert = insertInto(job.table)
  const { poison, ...settings } = job.settings ?? {}
  const config = defineConfig({
    store: postgresStore({ connectionString: job.connectionString }),
    temporal: job.temporal,
    // A run of its own: whatever an earlier one left behind finds no worker here.
    taskQueue: job.group,
    consumers: [
      consumer<Payload>({
        group: job.group,
        source: await sourceOf(job.log),
        start: 'first',
        ...settings,
        ...(poison && {
          retry: { attempts: 1 },
          afterLastTry: poison === 'later' ? retryLater('200ms', '1s') : deadLetter(),
        }),
        // Each message has a key of its own: all of them get a row, and none is left out.
        ...(job.contender === withDedupe && { dedupe: { key: (message) => message.idempotencyKey } }),
        handler: transactional<Payload>(async (messages, { partition, tx }) => {
          if (poison) refuse(messages)
          if (job.contender === withCopy) await tx.copy(job.table, copiedColumns, rowsOf(partition, messages))
          else await tx.query(insert, columnsOf(partition, messages))
        }),
      }),
    ],
  })
  const client = new Client({ connection: await Connection.connect(job.temporal), namespace: job.temporal.namespace })
  const worker = await createWorker(config)
  const running = worker.run()
  // Told by `stop`, which awaits it; until then a failure must not end the process unreported.
  running.catch((error: unknown) => console.error(error))
  let workflowIds: string[] = []

  return {
    go: async () => {
      const groups = await startGroups(config, { client, consumers: worker.consumers })
      workflowIds = [...groups.map(({ workflowId }) => workflowId), ...sliceIds(job)]
    },
    stop: async () => {
      worker.shutdown()
      await running
      const events = await historyEvents(client, workflowIds)
      await terminate(client, workflowIds)
      await client.connection.close()
      return { historyEvents: events }
    },
  }
}

/** Loaded when needed: a contender pays for its own log's driver only. */
async function sourceOf(log: LogJob): Promise<Source<Payload>> {
  if (log.kind === 'kafka') {
    const { kafka } = await import('tidemark/kafka')
    return kafka<Payload>({ brokers: log.brokers, topic: log.topic })
  }
  const { rabbitmq } = await import('tidemark/rabbitmq')
  return rabbitmq<Payload>({ url: log.url, superStream: log.superStream })
}

function refuse(messages: readonly Message<Payload>[]): void {
  for (const { value } of messages) if (value.amount < 0) throw new Error(`${value.account} has a negative amount`)
}
