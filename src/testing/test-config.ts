import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import type { Cut } from '../memory/source/log.js'
import { memorySource } from '../memory/source/source.js'
import type { Database, DatabaseClient, OffsetStore, OffsetStoreClient, OutputRecord, Source } from '../ports/index.js'
import { bytes } from '../reading/value.js'
import type { Handling } from './handling.js'
import type { Life } from './life.js'
import type { TestStream } from './messages.js'
import { testOutput } from './output.js'

/** For a source of somebody's own that does not say how it decodes: its handler gets the bytes. */
const plain = { codec: bytes(), concurrency: 1, timeoutMs: 30_000 }
/** How long a batch waits for more messages before its partitions are at rest, ms. What is in memory is there at once. */
const quietMs = 10

/** What takes the place of the outside world. */
export interface TestParts {
  readonly temporal: ParsedConfig['temporal']
  readonly store: OffsetStore
  /** What handlers write to. Undefined: the store's database. */
  readonly database: Database | undefined
  readonly streams: ReadonlyMap<string, TestStream>
  readonly cut: Cut
  readonly handling: Handling
  readonly take: (records: readonly OutputRecord[]) => Promise<void>
}

/** A user's config, with everything outside of the process replaced, as a worker of this life gets it. */
export function testConfigOf(config: ParsedConfig, parts: TestParts, life: Life): ParsedConfig {
  const store = severableStore(parts.store, life)
  const database = parts.database && severableDatabase(parts.database, life)
  const { temporal } = parts
  return {
    ...config,
    temporal,
    store,
    mirrors: [],
    consumers: config.consumers.map((consumer) => testConsumerOf(consumer, parts, life, database)),
  }
}

function testConsumerOf(
  consumer: ParsedConsumer,
  { streams, cut, handling, take }: TestParts,
  life: Life,
  database: Database | undefined,
): ParsedConsumer {
  const { settings, source, output } = consumer
  const handler = handling.observed(consumer.handler, life)
  return {
    ...consumer,
    source: testSource(source, streams.get(settings.stream)!, cut),
    // Its own database, if it names one, is replaced as well.
    handler:
      handler.kind === 'chunk'
        ? handler
        : { kind: handler.kind, handle: handler.handle, ...(database && { database }) },
    ...(output && { output: { to: testOutput(output.to, life, take), transactional: false } }),
    settings: {
      ...settings,
      batch: { ...settings.batch, restAfterMs: quietMs, idleGapMs: quietMs },
      waiting: 'signals',
    },
  }
}

function testSource(source: Source, { log }: TestStream, cut: Cut): Source {
  return memorySource(log, source.decoding ?? plain, cut)
}

function severableStore(store: OffsetStore, life: Life): OffsetStore {
  return {
    ...store,
    database: severableDatabase(store.database, life),
    connect: async (context): Promise<OffsetStoreClient> => life.severable(await store.connect(context)),
  }
}

function severableDatabase(database: Database, life: Life): Database {
  return {
    ...database,
    connect: async (context): Promise<DatabaseClient> => life.severable(await database.connect(context)),
  }
}
