import type { TidemarkConfig } from '../config/define.js'
import { type ParsedConfig, parseConfig } from '../config/parse.js'
import { type MemoryStore, memoryStore } from '../memory/store/store.js'
import { sendTemporalLogTo } from '../worker/temporal-log.js'
import { openTestDatabase } from './database.js'
import { TestConsumer } from './kit.js'
import { LastLines } from './last-lines.js'
import { TestStream } from './messages.js'
import { parseTestOptions, type TestOptions, type TestSettings } from './options.js'
import { Outbox } from './outbox.js'
import { randomFrom } from './random.js'
import { temporalTesting } from './server.js'
import { borrowServer, returnServer } from './servers.js'
import { Work } from './work.js'
import { runWorkflows } from './workers.js'

/** Partitions of a stream for which the options name no number. */
const usualPartitions = 4

/**
 * Runs a config's consumers for a test: the real workflows, batches and handlers on Temporal's time-skipping test server, with streams and
 * offsets in the memory of this process, and a Postgres of its own where handlers are transactional. The config goes in as it is; nothing
 * of what it names is connected to.
 *
 * ```ts
 * await using t = await testConsumer(config)
 * await t.append([{ key: 'a', value: { total: 5 } }])
 * await t.settled()
 * ```
 *
 * @throws TidemarkError CONFIG_INVALID for the config, the options, or a package that is missing; UNREACHABLE
 */
export async function testConsumer(config: TidemarkConfig, options: TestOptions = {}): Promise<TestConsumer> {
  const settings = parseTestOptions(options)
  const parsed = parseConfig(config, {})
  const log = new LastLines(settings.log)
  // First: the SDK's runtime, which the next step makes, would keep a process alive in which nothing uses it.
  await temporalTesting()
  const { taskQueue } = parsed
  const closing: (() => unknown)[] = [await sendTemporalLogTo(log, { taskQueue, metrics: false })]
  const end = async () => {
    for (const close of closing.splice(0).reverse()) await close()
  }
  try {
    const [server, database] = await both(
      borrowServer(settings.server),
      openTestDatabase(parsed, settings),
      (server) => closing.push(() => returnServer(server, settings.server)),
      (database) => database && closing.push(() => database.close()),
    )
    const store = database?.store ?? memoryStore()
    const streams = streamsOf(parsed, settings)
    const namespace = server.newNamespace()
    const outbox = database && (await Outbox.open(parsed, database, streams))
    closing.push(await runWorkflows(server, namespace, parsed))
    const kit = new TestConsumer({
      config: parsed,
      settings,
      server,
      namespace,
      client: server.client(namespace),
      streams,
      replaced: {
        temporal: { address: server.address, namespace },
        store,
        database: database?.database,
        streams,
        cut: cutBy(settings.seed),
      },
      database,
      outbox,
      memory: database ? undefined : (store as MemoryStore),
      work: new Work(server.clock),
      log,
      end,
    })
    try {
      await kit.begin()
      database?.makeNext()
      return kit
    } catch (error) {
      await kit.close()
      throw error
    }
  } catch (error) {
    await end()
    throw error
  }
}

/** Starts two things at once, and hands over what was started even where the other one fails. */
async function both<A, B>(
  a: Promise<A>,
  b: Promise<B>,
  hasA: (a: A) => unknown,
  hasB: (b: B) => unknown,
): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([a, b])
  if (first.status === 'fulfilled') hasA(first.value)
  if (second.status === 'fulfilled') hasB(second.value)
  if (first.status === 'rejected') throw first.reason
  if (second.status === 'rejected') throw second.reason
  return [first.value, second.value]
}

function streamsOf({ consumers }: ParsedConfig, { partitions }: TestSettings): Map<string, TestStream> {
  const streams = new Map<string, TestStream>()
  for (const { settings, source } of consumers) {
    const count = typeof partitions === 'number' ? partitions : (partitions[settings.stream] ?? usualPartitions)
    if (!streams.has(settings.stream))
      streams.set(settings.stream, new TestStream(settings.stream, count, source.decoding))
  }
  return streams
}

/** Each partition is cut by numbers of its own, so that the cuts do not depend on which partition is read first. */
function cutBy(seed: number): (partition: number, there: number) => number {
  const randoms = new Map<number, () => number>()
  return (partition, there) => {
    const random = randoms.get(partition) ?? randomFrom(seed + partition * 7919)
    randoms.set(partition, random)
    return 1 + Math.floor(random() * there)
  }
}
