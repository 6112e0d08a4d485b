import { z } from 'zod'
import type { HandlerKind } from '../handlers/handler.js'
import type { Until } from '../handlers/until.js'
import { TidemarkError } from '../model/errors.js'
import { problemOfSynchronous } from '../model/functions.js'
import { groupWorkflowId, mostSlices } from '../model/partition.js'
import { secretsOf } from '../model/secrets.js'
import type { ConsumerSettings } from '../model/settings.js'
import { checked, invalid } from '../options/checked.js'
import {
  count,
  duration,
  durationOrOff,
  instead,
  oneOf,
  optionalDuration,
  size,
  wholeNumber,
} from '../options/fields.js'
import { synchronous } from '../options/functions.js'
import { guess } from '../options/spelling.js'
import type { Message, OffsetStore, Output, Source } from '../ports/index.js'
import { disagreements, longNames, sameTwice } from './agreement.js'
import type { TidemarkConfig } from './define.js'
import { temporalEnvironment } from './environment.js'
import { type ErrorClass, failureDisagreements, failureFields, failureSettings, retryFields } from './failures.js'
import { handler } from './handlers.js'
import { outputFields, type ParsedOutput, parseOutput } from './outputs.js'
import { partsOf } from './parts.js'
import { chunkFields, group, name, taskQueue } from './schema.js'
import { start } from './start.js'
import { commit } from './strategy.js'
import { type TemporalSettings, temporalSchema, temporalSettings } from './temporal.js'
import { givenVersion, versionOf } from './version.js'

/** A config that has been checked: what the rest of Tidemark works with. */
export interface ParsedConfig {
  readonly store: OffsetStore
  /** Where offsets are shown besides; undefined means: in the log's own place for them, where it has one. */
  readonly mirrors?: readonly OffsetStore[]
  readonly consumers: readonly ParsedConsumer[]
  readonly temporal: TemporalSettings
  readonly taskQueue: string
  readonly memoryBytes: number
  readonly connectTimeoutMs: number
  readonly shutdownTimeoutMs: number
  /** Passwords and keys in this config, which no text that leaves the worker may hold. */
  readonly secrets: readonly string[]
}

export interface ParsedConsumer {
  readonly settings: ConsumerSettings
  readonly source: Source
  readonly handler: HandlerKind
  readonly dedupe?: DedupeRule
  readonly output?: ParsedOutput
  /** Where a bounded run ends. */
  readonly until?: Until
  /** What the user's code decides of failures. */
  readonly failing: ParsedFailing
  /** Names this consumer's config: equal in every worker that was started with the same config. */
  readonly version: string
}

export interface ParsedFailing {
  readonly classify?: (error: unknown) => ErrorClass | undefined
  readonly redact?: (text: string) => string
  /** Where the topic of dead letters is. */
  readonly output?: Output
}

/** How a consumer tells messages that say the same thing. */
export interface DedupeRule {
  /** Null: this message is never left out. */
  readonly key: (message: Message) => string | Uint8Array | null
  readonly retentionMs: number
}

const has = (value: unknown, ...methods: string[]): boolean =>
  typeof value === 'object' &&
  value !== null &&
  methods.every((method) => typeof Reflect.get(value, method) === 'function')

const source = z.custom<Source>((value) => has(value, 'connect') && 'stream' in (value as object), {
  error: 'must be a source, for example kafka({ brokers, topic }) from tidemark/kafka',
})
const aStore = 'must be an offset store, for example postgresStore({ connectionString }) from tidemark/postgres'
const store = z.custom<OffsetStore>((value) => has(value, 'connect') && 'database' in (value as object), {
  error: aStore,
})

const hour = 3_600_000
const day = 24 * hour
const century = 36_500 * day

const untilForms = "must be 'head', or a function that returns true for the last message"
const until = z.custom<Until>((value) => value === 'head' || problemOfSynchronous(value, untilForms) === null, {
  error: ({ input }) => `${problemOfSynchronous(input, untilForms)}${guess(input, ['head'])}`,
})

const errors = oneOf(['message', 'private'])

export const consumerSchema = z.strictObject({
  group,
  source,
  handler,
  version: givenVersion,
  start,
  commit,
  onOutOfRange: oneOf(['fail', 'first', 'last']).default('fail'),
  until: until.optional(),
  dedupe: z
    .strictObject(
      {
        key: synchronous<DedupeRule['key']>('must be a function from a message to its key'),
        // Compared in the database, which knows no time that is much later: no timer.
        retention: duration('7d', 1000, { most: century, leastNumber: hour }),
      },
      { error: instead('must be an object with a key') },
    )
    .optional(),
  ...outputFields,
  ...failureFields,
  batch: z
    .strictObject({
      maxMessages: count(1_000_000),
      maxDuration: duration('30s', 100, { leastNumber: 1000 }),
      idleGap: duration('2s', 10, { leastNumber: 100 }),
      restAfter: duration('60s', 100, { leastNumber: 1000 }),
    })
    .prefault({}),
  chunk: chunkFields.prefault({}),
  chunkTimeout: durationOrOff(false, 100, { leastNumber: 1000 }),
  concurrency: count(100),
  slices: wholeNumber(mostSlices).optional(),
  // A worker that is gone keeps its partitions for so long.
  heartbeatTimeout: duration('10s', 1000, { most: day }),
  errors: errors.optional(),
  retry: z
    .strictObject({
      initialInterval: duration('1s', 1, { leastNumber: 100 }),
      maximumInterval: optionalDuration(1, { leastNumber: 100 }),
      backoff: z
        .number({ error: instead('must be a number') })
        .min(1, { error: instead('must be at least 1') })
        .max(1000, { error: instead('must be at most 1,000') })
        .default(2),
      ...retryFields,
    })
    .prefault({}),
})

/** One store, or the one that decides and the mirrors that follow it. */
const stores = z
  .union([store, z.array(store).min(1, 'must have at least one store')], { error: `${aStore}, or a list of them` })
  .superRefine((given, context) => {
    const problem = Array.isArray(given) ? sameTwice(given) : null
    if (problem !== null) context.addIssue(problem)
  })
  .transform((given) => (Array.isArray(given) ? { primary: given[0]!, mirrors: given.slice(1) } : { primary: given }))

export const configSchema = z.strictObject({
  store: stores,
  consumers: z
    .array(z.unknown(), { error: 'must be a list of consumer({...})' })
    .min(1, 'must have at least one consumer'),
  temporal: temporalSchema,
  taskQueue,
  memory: size('32MB', 1024 ** 2),
  connectTimeout: duration('60s', 1, { leastNumber: 1000 }),
  shutdownTimeout: duration('30s', 1, { leastNumber: 1000 }),
  errors: errors.default('message'),
})

/**
 * Checks a config and fills in its defaults.
 *
 * @throws TidemarkError CONFIG_INVALID, naming every wrong field, what stands there and what is allowed
 */
export function parseConfig(config: TidemarkConfig, environment: NodeJS.ProcessEnv = process.env): ParsedConfig {
  const env = temporalEnvironment(environment)
  if (typeof config !== 'object' || config === null || config.kind !== 'tidemark-config')
    throw new TidemarkError(
      'CONFIG_INVALID',
      'the config must be what defineConfig({...}) returns, as the default export of its file',
    )
  const parsed = configSchema.safeParse(config.options)
  if (!parsed.success) throw invalid(parsed.error, configSchema, '', 'the config')
  const { temporal: given, ...options } = parsed.data
  const consumers = options.consumers.map((one, index) => parseConsumer(one, index, options))
  refuseTwins(consumers)
  const mirrors = 'mirrors' in options.store ? options.store.mirrors : []
  const temporal = temporalSettings(given, env)
  return {
    store: options.store.primary,
    ...('mirrors' in options.store ? { mirrors } : {}),
    consumers,
    temporal,
    taskQueue: options.taskQueue,
    memoryBytes: options.memory,
    connectTimeoutMs: options.connectTimeout,
    shutdownTimeoutMs: options.shutdownTimeout,
    secrets: [
      ...partsOf({ store: options.store.primary, mirrors, consumers }).flatMap((part) => secretsOf(part)),
      ...(temporal.apiKey ? [temporal.apiKey] : []),
    ],
  }
}

function parseConsumer(
  value: unknown,
  index: number,
  {
    store: where,
    errors,
    memory,
    taskQueue,
  }: Pick<z.infer<typeof configSchema>, 'store' | 'errors' | 'memory' | 'taskQueue'>,
): ParsedConsumer {
  const written = value as { kind?: unknown; options?: { group?: unknown } } | null
  if (typeof written !== 'object' || written?.kind !== 'consumer')
    throw new TidemarkError('CONFIG_INVALID', `consumers[${index}] must be what consumer({...}) returns`)
  const parsed = consumerSchema.safeParse(written.options)
  const group = typeof written.options?.group === 'string' ? ` (group '${written.options.group}')` : ''
  if (!parsed.success) throw invalid(parsed.error, consumerSchema, `consumers[${index}]${group}`)
  const { data } = parsed
  const problems = [...disagreements(data, memory), ...failureDisagreements(data)]
  if (problems.length > 0)
    throw new TidemarkError(
      'CONFIG_INVALID',
      problems.map((problem) => `consumers[${index}]${group}.${problem}`).join('\n'),
    )
  if (data.dedupe && data.handler.kind !== 'transactional')
    throw new TidemarkError(
      'CONFIG_INVALID',
      `consumers[${index}]${group}.dedupe: needs transactional(handler), where a key is kept exactly when the handler's effects are; ` +
        'a plain handler has the idempotencyKey of each message, which stays the same at every retry',
    )
  if (data.dedupe && data.commit.after === 'manual')
    throw new TidemarkError(
      'CONFIG_INVALID',
      `consumers[${index}]${group}.dedupe: does not go with commit: manual(), which waits for the handler to store messages that it never gets`,
    )
  const dedupe = data.dedupe && { key: data.dedupe.key, retentionMs: data.dedupe.retention }
  const output = parseOutput(data, `consumers[${index}]${group}`)
  const stream = checked(`consumers[${index}]${group}.source.stream`, name('stream'), data.source.stream)
  const settings: ConsumerSettings = {
    group: data.group,
    stream,
    start: data.start,
    commit: data.commit,
    outOfRange: data.onOutOfRange,
    batch: {
      maxMessages: data.batch.maxMessages,
      maxDurationMs: data.batch.maxDuration,
      idleGapMs: data.batch.idleGap,
      restAfterMs: data.batch.restAfter,
    },
    chunk: {
      maxMessages: data.chunk.maxMessages ?? 10_000,
      fetchBytes: data.chunk.fetchBytes ?? Math.min(2 * 1024 ** 2, memory),
      targetMs: data.chunk.targetDuration,
    },
    chunkTimeoutMs: data.chunkTimeout,
    concurrency: data.concurrency,
    ...(data.slices === undefined ? {} : { slices: data.slices }),
    heartbeatTimeoutMs: data.heartbeatTimeout,
    retry: {
      initialIntervalMs: data.retry.initialInterval,
      maximumIntervalMs: data.retry.maximumInterval ?? Math.max(60_000, data.retry.initialInterval),
      backoff: data.retry.backoff,
    },
    failures: failureSettings(data, data.handler.kind === 'transactional' || data.transactional === 'kafka'),
    errors: data.errors ?? errors,
  }
  const { source, handler, until, version } = data
  const tooLong = longNames(settings, taskQueue, version)
  if (tooLong !== null) throw new TidemarkError('CONFIG_INVALID', `consumers[${index}]${group}: ${tooLong}`)
  const mirrors = 'mirrors' in where ? where.mirrors : undefined
  const failing = parsedFailing(data)
  const whole = { settings, failing, source, handler, until, dedupe, output, store: where.primary, mirrors }
  return {
    settings,
    source: data.source,
    handler: data.handler,
    failing,
    ...(dedupe && { dedupe }),
    ...(output && { output }),
    ...(data.until && { until: data.until }),
    version: version ?? versionOf(whole),
  }
}

function parsedFailing({
  classify,
  afterLastTry,
}: Pick<z.infer<typeof consumerSchema>, 'classify' | 'afterLastTry'>): ParsedFailing {
  const { redact, output } = typeof afterLastTry === 'string' ? {} : afterLastTry
  return {
    ...(classify && { classify: classify as NonNullable<ParsedFailing['classify']> }),
    ...(redact && { redact }),
    ...(output && { output }),
  }
}

function refuseTwins(consumers: readonly ParsedConsumer[]): void {
  const seen = new Map<string, number>()
  for (const [index, { settings }] of consumers.entries()) {
    const { group, stream } = settings
    const twin = seen.get(groupWorkflowId(group, stream))
    if (twin !== undefined)
      throw new TidemarkError(
        'CONFIG_INVALID',
        `consumers[${twin}] and consumers[${index}] are the same group '${group}' on the same stream '${stream}'; ` +
          'give one of them another group, or do the work of both in one handler',
      )
    seen.set(groupWorkflowId(group, stream), index)
  }
}
