import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import type { ConnectContext, Database, DatabaseClient, OffsetStoreClient, SourceClient } from '../ports/index.js'
import { answerWithin, connectOnce, placeOf } from './deadline.js'

/** How long a part may take to connect, and to answer, ms. A person is waiting. */
export const patience = 5_000

/** A command says what went wrong in one sentence, so the drivers' own log lines are left out. */
const context = (): ConnectContext => {
  const silent = () => {}
  return {
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
  }
}

/** Opens a config's store, without a worker: one try. Its tables are made and brought up to date, as a worker does. */
export async function openStore({ store }: ParsedConfig): Promise<OffsetStoreClient> {
  const client = await connectOnce(placeOf(store), store.connect(context()), patience)
  try {
    await answerWithin(placeOf(store), client.migrate(), patience)
    return client
  } catch (error) {
    await closeSoon(client)
    throw error
  }
}

/** Opens a database, as that of a config's store, where groups keep their records: without a worker, one try. It brings its tables up to date. */
export function openDatabase(database: Database): Promise<DatabaseClient> {
  return connectOnce(placeOf(database), database.connect(context()), patience)
}

/** Opens a consumer's stream, without a worker: one try. */
export function openSource({ source }: ParsedConsumer, values?: 'bytes'): Promise<SourceClient> {
  return connectOnce(placeOf(source), source.connect({ ...context(), ...(values && { values }) }), patience)
}

/** Lends what was opened, and closes it whatever comes of it. */
export async function using<C extends { close(): Promise<void> }, T>(
  opening: Promise<C>,
  use: (client: C) => Promise<T>,
): Promise<T> {
  const client = await opening
  try {
    return await use(client)
  } finally {
    await closeSoon(client)
  }
}

/** Closes without waiting long for a peer that is gone. */
export async function closeSoon(client: { close(): Promise<void> }): Promise<void> {
  await answerWithin('it', client.close(), 1_000).catch(() => {})
}
