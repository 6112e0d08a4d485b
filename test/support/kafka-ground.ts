import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs'
import { kafka } from '../../src/entry/kafka.js'
import type { KafkaOptions } from '../../src/kafka/client/options.js'
import type { Message, ReadOptions, SourceClient } from '../../src/ports/index.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { makeTopics } from './make-topics.js'
import { silentLog } from './silent-log.js'
import { unique } from './unique.js'

/** Topics, producers and connected sources for a test; `close` ends them all. */
export class KafkaGround {
  readonly log = silentLog()
  readonly client: Kafka
  readonly #admin: Admin
  readonly #closing: (() => Promise<unknown>)[] = []

  private constructor(readonly brokers: readonly string[]) {
    this.client = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } })
    this.#admin = this.client.admin()
    this.#closing.push(() => this.#admin.disconnect())
  }

  static async on(brokers: readonly string[]): Promise<KafkaGround> {
    const ground = new KafkaGround(brokers)
    await ground.#admin.connect()
    return ground
  }

  get admin(): Admin {
    return this.#admin
  }

  async topic(config: Record<string, string> = {}, numPartitions = 1): Promise<string> {
    const topic = unique('kafka')
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await makeTopics(this.#admin, [{ topic, numPartitions, configEntries }])
    return topic
  }

  async producer(transactionalId?: string): Promise<Producer> {
    const producer = this.client.producer(
      transactionalId ? { transactionalId, maxInFlightRequests: 1, idempotent: true } : {},
    )
    await producer.connect()
    this.#closing.push(() => producer.disconnect())
    return producer
  }

  async connect<V>(options: Partial<KafkaOptions<V>> & { topic: string }): Promise<SourceClient<V>> {
    const source = kafka<V>({ brokers: this.brokers, ...options })
    const client = await source.connect({ log: this.log, signal: new AbortController().signal })
    this.#closing.push(() => client.close())
    return client
  }

  async close(): Promise<void> {
    while (this.#closing.length > 0) await this.#closing.pop()!()
  }
}

export function readOptions(topic: string, change: Partial<ReadOptions> = {}): ReadOptions {
  return {
    key: { group: 'readers', stream: topic, partition: 0 },
    replay: 0,
    fetchBytes: 1024 * 1024,
    budget: new SharedBudget(64 * 1024 * 1024),
    signal: new AbortController().signal,
    ...change,
  }
}

/** Reads partition 0 up to `end` (by default its head now), and counts the chunks that took. */
export async function readTo<V>(
  client: SourceClient<V>,
  topic: string,
  change: Partial<ReadOptions> & { from?: bigint; end?: bigint; maxMessages?: number } = {},
): Promise<{ messages: Message<V>[]; position: bigint; chunks: number }> {
  const { from = (await client.bounds([0])).get(0)!.first, maxMessages = 10_000, ...options } = change
  const end = change.end ?? (await client.bounds([0])).get(0)!.head
  const reader = client.read(from, readOptions(topic, options))
  const messages: Message<V>[] = []
  let position = from
  let chunks = 0
  try {
    while (position < end) {
      const chunk = await reader.next({ maxMessages, waitMs: 15_000 })
      if (!chunk) throw new Error(`nothing came at ${position}, before ${end}`)
      if (chunk.poison) throw chunk.poison.error
      if (chunk.from !== position || chunk.next <= position)
        throw new Error(`chunk [${chunk.from}, ${chunk.next}) does not follow ${position}`)
      for (const message of chunk.messages) messages.push(message)
      position = chunk.next
      chunks++
      chunk.release()
    }
  } finally {
    await reader.close()
  }
  return { messages, position, chunks }
}

/** Runs one of Kafka's own tools and returns what it printed. */
export function kafkaTool(home: string, tool: string, args: readonly string[], input = ''): Promise<string> {
  const quick = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
  return new Promise((resolve, reject) => {
    const child = spawn('java', [...quick, '-cp', join(home, '*'), `org.apache.kafka.tools.${tool}`, ...args])
    const out: Buffer[] = []
    const problems: Buffer[] = []
    child.stdout.on('data', (data: Buffer) => out.push(data))
    child.stderr.on('data', (data: Buffer) => problems.push(data))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString())
      else reject(new Error(`${tool} ended with ${code}: ${Buffer.concat(problems)}`))
    })
    child.stdin.end(input)
  })
}

/** What the Java client reads from a topic's first partition: key, tab, value, a line each. */
export async function javaReads(home: string, broker: string, topic: string, isolation: string): Promise<string[]> {
  const printed = await kafkaTool(home, 'consumer.ConsoleConsumer', [
    ...['--bootstrap-server', broker, '--topic', topic, '--partition', '0', '--offset', 'earliest'],
    ...['--isolation-level', isolation, '--timeout-ms', '2500'],
    ...['--property', 'print.offset=true', '--property', 'print.key=true'],
  ])
  return printed.split('\n').filter((line) => line.startsWith('Offset:'))
}
