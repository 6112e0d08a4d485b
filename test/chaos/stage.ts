import pg from 'pg'
import type { Stack } from '../../src/local/stack.js'
import { unique } from '../support/unique.js'
import { Ground } from './ground.js'
import type { Options } from './options.js'
import { Workers } from './workers.js'

/** Where a scenario differs from the others. */
export interface Change {
  readonly config?: string
  readonly partitions?: number
  readonly brokers?: readonly string[]
  readonly databaseUrl?: string
  /** The store's, where it is another one. */
  readonly storeUrl?: string
  readonly env?: Readonly<Record<string, string>>
}

/** The parts that the scenarios of a run share, and what the command line asks for. */
export class Stage {
  constructor(
    readonly options: Options,
    readonly stack: Stack,
  ) {}

  /** Standard output is for figures alone. */
  readonly say = (text: string): void => void process.stderr.write(`${text}\n`)

  print(line: object): void {
    console.log(JSON.stringify(line))
  }

  async newDatabase(): Promise<string> {
    const { postgres } = this.stack
    const name = unique('chaos').replace('-', '_')
    const admin = new pg.Client({ connectionString: postgres.connectionString })
    await admin.connect()
    await admin.query(`create database ${name}`)
    await admin.end()
    const url = new URL(postgres.connectionString)
    url.pathname = `/${name}`
    return url.href
  }

  /** Plays on a new topic full of messages, with a new database. */
  async scenario<T>(
    messages: number,
    play: (ground: Ground, workers: Workers) => Promise<T>,
    change: Change = {},
  ): Promise<T> {
    const { options, stack } = this
    const { storeUrl, databaseUrl = await this.newDatabase() } = change
    const apart = storeUrl === undefined ? {} : { storeUrl }
    const { config, partitions = options.partitions, brokers = stack.kafka.brokers } = change
    const { address, namespace } = stack.temporal
    const ground = new Ground(
      { databaseUrl, ...apart, brokers, temporal: { address, namespace } },
      unique('chaos'),
      messages,
      partitions,
    )
    const workers = new Workers(
      {
        DATABASE_URL: databaseUrl,
        KAFKA_BROKERS: brokers.join(','),
        TEMPORAL_ADDRESS: address,
        TEMPORAL_NAMESPACE: namespace,
        CHAOS_TOPIC: ground.topic,
        CHAOS_CHUNK: String(options.chunk),
        CHAOS_CHUNK_MS: String(options.chunkMs),
        CHAOS_HEARTBEAT: options.heartbeat,
        ...(storeUrl === undefined ? {} : { CHAOS_STORE_URL: storeUrl }),
        ...change.env,
      },
      config,
    )
    this.say(`producing ${messages} messages; logs of the workers in ${workers.logs}`)
    await ground.prepare()
    try {
      return await play(ground, workers)
    } finally {
      await workers.end()
      await ground.close()
    }
  }
}
