import pg from 'pg'
import { consumer, defineConfig, type HandlerContext, type Message, transactional } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { postgresStore, postgresStream } from 'tidemark/postgres'
import { chunk, combinations, manualEvery } from './combinations.js'

/* What one worker of the matrix runs: all combinations at once. */

const { DATABASE_URL: connectionString = '', KAFKA_BROKERS = '', CHAOS_TOPIC: stream = '' } = process.env
const brokers = KAFKA_BROKERS.split(',')
const pool = new pg.Pool({ connectionString, max: 10 })
pool.on('error', () => {})
const insert = 'insert into matrix_effects (consumer, partition, off) values ($1, $2, $3)'

/** Handles one message after the other, so that a kill finds a chunk half done. */
async function each(
  name: string,
  messages: readonly Message[],
  context: HandlerContext,
  query: (text: string, values: unknown[]) => Promise<unknown>,
  commits: { since: number } | null,
): Promise<void> {
  for (const message of messages) {
    await query(insert, [name, message.partition, String(message.offset)])
    if (!commits) continue
    context.storeOffset(message)
    if (++commits.since < manualEvery) continue
    commits.since = 0
    await context.commit()
  }
}

export default defineConfig({
  store: [postgresStore({ connectionString, poolSize: 20 })],
  taskQueue: stream,
  consumers: combinations.map(({ name, source, kind, commit }) => {
    const since = new Map<number, { since: number }>()
    const commits = ({ partition }: HandlerContext) => {
      if (!name.startsWith('manual')) return null
      const mine = since.get(partition) ?? { since: 0 }
      since.set(partition, mine)
      return mine
    }
    return consumer({
      group: name,
      source: source === 'kafka' ? kafka({ brokers, topic: stream }) : postgresStream({ connectionString, stream }),
      commit,
      chunk: { maxMessages: chunk },
      heartbeatTimeout: '2s',
      handler:
        kind === 'plain'
          ? (messages, context) => each(name, messages, context, (...query) => pool.query(...query), commits(context))
          : transactional((messages, context) =>
              each(name, messages, context, (...query) => context.tx.query(...query), commits(context)),
            ),
    })
  }),
})
