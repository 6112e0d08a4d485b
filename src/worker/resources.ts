import { placeOf } from '../client/once.js'
import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import type {
  ConnectContext,
  Database,
  DatabaseClient,
  OffsetStoreClient,
  ProgressLog,
  SourceClient,
} from '../ports.js'
import { connectWithin } from './connect.js'

/** The connections of one worker: the store, each database that handlers write to, and each consumer's stream. */
export interface Resources {
  readonly store: OffsetStoreClient
  of(consumer: ParsedConsumer): { readonly source: SourceClient; readonly progress: ProgressLog }
  close(): Promise<void>
}

/** Opens everything a config names, waiting for what isn't up yet. Closes what it opened when a part can't be had. */
export async function openResources(config: ParsedConfig, context: ConnectContext): Promise<Resources> {
  const closers: (() => Promise<void>)[] = []
  const waiting = { timeoutMs: config.connectTimeoutMs, ...context }
  const open = async <T extends { close(): Promise<void> }>({
    kind,
    describe,
    connect,
  }: {
    kind: string
    describe: object
    connect: () => Promise<T>
  }): Promise<T> => {
    const client = await connectWithin(placeOf({ kind, describe }), connect, waiting)
    closers.push(() => client.close())
    return client
  }
  const close = async () => {
    await Promise.allSettled(closers.splice(0).map((end) => end()))
  }

  try {
    const { store } = config
    const storeClient = await open({ ...about(store), connect: () => store.connect(context) })
    await storeClient.migrate()

    const databases = new Map<Database, DatabaseClient>()
    for (const database of new Set(config.consumers.map((consumer) => databaseOf(config, consumer))))
      databases.set(database, await open({ ...about(database), connect: () => database.connect(context) }))

    const sources = new Map<ParsedConsumer, SourceClient>()
    await Promise.all(
      config.consumers.map(async (consumer) => {
        const { source } = consumer
        sources.set(consumer, await open({ ...about(source), connect: () => source.connect(context) }))
      }),
    )
    return {
      store: storeClient,
      of: (consumer) => ({
        source: sources.get(consumer)!,
        progress: databases.get(databaseOf(config, consumer))!.progress,
      }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function databaseOf({ store }: ParsedConfig, { handler }: ParsedConsumer): Database {
  return (typeof handler === 'function' ? undefined : handler.database) ?? store.database
}

function about({ kind, describe }: { kind: string; describe: Readonly<Record<string, unknown>> }) {
  return { kind, describe }
}
