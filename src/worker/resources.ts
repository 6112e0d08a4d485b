import { setTimeout as sleep } from 'node:timers/promises'
import type { RuntimeOutput } from '../../activities/handling/outputs.js'
import { placeOf } from '../client/deadline.js'
import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import { TidemarkError } from '../model/errors.js'
import type {
  ConnectContext,
  Database,
  DatabaseClient,
  DeadLetters,
  GroupRecords,
  OffsetStoreClient,
  OutputClient,
  ProgressLog,
  SourceClient,
  SqlProgressLog,
  TroubleLog,
} from '../ports/index.js'
import { askWithin, connectWithin } from './connect.js'
import { MirroredStore } from './mirrored-store.js'

/** How long mirrors may take for the last offsets when a worker ends, ms. */
const mirrorsMayTake = 5_000

/** The connections of one worker: the store and its database, each database that handlers write to, and each consumer's stream. */
export interface Resources {
  readonly store: OffsetStoreClient
  of(consumer: ParsedConsumer): {
    readonly source: SourceClient
    /** In the database that transactional handlers write to. */
    readonly sql: SqlProgressLog
    /** Where the consumer's progress lives: there, or in the log of its output. */
    readonly progress: ProgressLog
    readonly output?: RuntimeOutput
    /** In the same database as `sql`. */
    readonly troubles: TroubleLog
    readonly letters: DeadLetters
    /** Where a topic of dead letters is, unless it is part of a transaction. */
    readonly letterTopic?: OutputClient
    /** The store, and the mirrors that follow it. */
    readonly store: MirroredStore
    /** The groups' records, in the store's own database. */
    readonly records: GroupRecords
  }
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
    const place = placeOf({ kind, describe })
    const client = await connectWithin(place, connect, waiting)
    if (closed) {
      await client.close()
      throw new TidemarkError('UNREACHABLE', `ended before ${place} was connected`)
    }
    closers.push(() => client.close())
    return client
  }
  const mirroring: MirroredStore[] = []
  // What is being opened while another part can't be had is closed as soon as it is there.
  let closed = false
  const close = async () => {
    closed = true
    await Promise.race([
      Promise.all(mirroring.map((store) => store.close())),
      sleep(mirrorsMayTake, undefined, { ref: false }),
    ])
    await Promise.allSettled(closers.splice(0).map((end) => end()))
  }

  try {
    const { store } = config
    const storeClient = await open({ ...about(store), connect: () => store.connect(context) })
    await askWithin(placeOf(store), () => storeClient.migrate(), waiting)

    const databases = new Map<Database, DatabaseClient>()
    for (const database of new Set([
      store.database,
      ...config.consumers.map((consumer) => databaseOf(config, consumer)),
    ]))
      databases.set(database, await open({ ...about(database), connect: () => database.connect(context) }))

    const sources = new Map<ParsedConsumer, SourceClient>()
    await Promise.all(
      config.consumers.map(async (consumer) => {
        const { source } = consumer
        sources.set(consumer, await open({ ...about(source), connect: () => source.connect(context) }))
      }),
    )
    const outputs = new Map<ParsedConsumer, RuntimeOutput>()
    await Promise.all(
      config.consumers.map(async (consumer) => {
        if (!consumer.output) return
        const { to, transactional } = consumer.output
        const client = await open({ ...about(to), connect: () => to.connect(context) })
        const transactions = transactional ? client.progress : undefined
        outputs.set(consumer, { client, maxBufferedBytes: to.maxBufferedBytes, ...(transactions && { transactions }) })
      }),
    )
    const topics = new Map<ParsedConsumer, OutputClient>()
    await Promise.all(
      config.consumers.map(async (consumer) => {
        if (consumer.settings.failures.afterLastTry.policy !== 'topic') return
        const { output } = consumer.failing
        const client = output
          ? await open({ ...about(output), connect: () => output.connect(context) })
          : outputs.get(consumer)!.client
        topics.set(consumer, client)
      }),
    )
    const mirrors = await Promise.all(
      (config.mirrors ?? []).map((mirror) => open({ ...about(mirror), connect: () => mirror.connect(context) })),
    )
    await Promise.all(
      mirrors.map((mirror, index) => askWithin(placeOf(config.mirrors![index]!), () => mirror.migrate(), waiting)),
    )
    const stores = new Map<ParsedConsumer, MirroredStore>()
    for (const [consumer, { groupOffsets }] of sources) {
      // Where the config names none, the log's own place for offsets is one; unless it is the store itself.
      const own = groupOffsets && consumer.source.kind !== store.kind ? [groupOffsets] : []
      const its = config.mirrors ? mirrors : own
      stores.set(consumer, new MirroredStore(storeClient, its, context.log))
    }
    mirroring.push(...stores.values())
    return {
      store: storeClient,
      of: (consumer) => {
        const output = outputs.get(consumer)
        const { progress: sql, troubles, letters } = databases.get(databaseOf(config, consumer))!
        const letterTopic = topics.get(consumer)
        return {
          source: sources.get(consumer)!,
          store: stores.get(consumer)!,
          records: databases.get(store.database)!.groups,
          sql,
          progress: output?.transactions ?? sql,
          ...(output && { output }),
          troubles,
          letters,
          ...(letterTopic && { letterTopic }),
        }
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function databaseOf({ store }: ParsedConfig, { handler }: ParsedConsumer): Database {
  return (handler.kind === 'transactional' ? handler.database : undefined) ?? store.database
}

function about({ kind, describe }: { kind: string; describe: Readonly<Record<string, unknown>> }) {
  return { kind, describe }
}
