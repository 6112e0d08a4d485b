import { z } from 'zod'
import type { DownstreamUnavailable } from '../model/handler-errors.js'
import type { AfterLastTry, FailureSettings, LetterSettings } from '../model/policy.js'
import type { Duration } from '../model/units.js'
import { checked } from '../options/checked.js'
import { count, duration, instead, oneOf, optionalDuration, wholeNumber } from '../options/fields.js'
import { synchronous } from '../options/functions.js'
import { guess } from '../options/spelling.js'
import type { Output } from '../ports/index.js'

/** What `classify` may say of an error; undefined: Tidemark decides. */
export type ErrorClass = 'retryable' | 'transient' | 'poison' | DownstreamUnavailable

/** What a consumer's option `afterLastTry` takes. */
export type AfterLastTryOption = 'block' | 'pause' | 'skip' | FailurePolicy

/** Made by `deadLetter`, `retryLater` and `deadLetterTopic`. */
export interface FailurePolicy {
  readonly kind: 'tidemark-policy'
  readonly settings: AfterLastTry
  /** Changes the text of an error before it is written. */
  readonly redact?: (text: string) => string
  /** Where the topic is, if not in the consumer's own output. */
  readonly output?: Output
}

export interface DeadLetterOptions {
  /**
   * `key` (the default): later messages of the same key are set aside behind it, and handled in their order once it has been. `none`: only
   * the message itself is set aside.
   */
  readonly order?: 'key' | 'none'
  /** Messages without a key: `alone` (the default), or `together` as if they had one key. */
  readonly nullKeys?: 'alone' | 'together'
  /**
   * `content` (the default) copies key, value and headers, since the log's retention takes the original. `reference` copies nothing but
   * the place: redriving such a letter reads the log again, and fails once the log has lost it.
   */
  readonly keep?: 'content' | 'reference'
  /** What one partition may set aside. When it is full, the partition pauses, and says so; nothing is dropped. */
  readonly limits?: {
    /** Keys. Default 10,000. */
    readonly keys?: number
    /** Messages. Default 1,000,000. */
    readonly messages?: number
    /** The age of the oldest one. Default: none. */
    readonly age?: Duration
  }
  /** How long a letter is remembered that was redriven, discarded or skipped; its content goes at once. Default 30d. */
  readonly retention?: Duration
  /** Changes the text of the error before it is written, for example to take out what is personal. What it throws is written instead. */
  readonly redact?: (text: string) => string
}

const century = 36_500 * 24 * 3_600_000

const letterFields = {
  order: oneOf(['key', 'none']).default('key'),
  nullKeys: oneOf(['alone', 'together']).default('alone'),
  keep: oneOf(['content', 'reference']).default('content'),
  limits: z
    .strictObject({
      keys: count(10_000),
      messages: count(1_000_000),
      age: optionalDuration(1000, { most: century }),
    })
    .prefault({}),
  retention: duration('30d', 1000, { most: century, leastNumber: 3_600_000 }),
  redact: synchronous<(text: string) => string>('must be a function from a text to a text').optional(),
}

const letterSchema = z.strictObject(letterFields)

/**
 * Sets a message aside after its last try: in the handlers' database, in the transaction that moves progress past it, with its key, value
 * and headers. `tidemark dead-letters` lists them, redrives and discards them.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function deadLetter(options: DeadLetterOptions = {}): FailurePolicy {
  return letterPolicy('deadLetter', options, [])
}

/**
 * Sets a message aside, and brings it back by itself after the first duration; if it fails again, after the second one, and so on. After
 * the last one it waits for a person. Nothing waits for it meanwhile but later messages of its key.
 *
 * @param delays `'10m'`, `'1h'`, `'1d'`: at least one; options of `deadLetter` may come last
 * @throws TidemarkError CONFIG_INVALID
 */
export function retryLater(...delays: readonly [Duration, ...(Duration | DeadLetterOptions)[]]): FailurePolicy {
  const last = delays.at(-1)
  const options = typeof last === 'object' ? last : {}
  const durations = typeof last === 'object' ? delays.slice(0, -1) : delays
  const parsed = checked(
    'retryLater',
    z.array(duration('1m', 1, { most: century, leastNumber: 1000 })).min(1, 'must be at least one duration'),
    durations,
  )
  return letterPolicy('retryLater', options, parsed)
}

/** Options of `deadLetterTopic`. */
export interface DeadLetterTopicOptions {
  readonly topic: string
  /** Where the topic is. Default: the consumer's own `output`. */
  readonly output?: Output
  readonly redact?: (text: string) => string
}

/**
 * Writes a message to a topic after its last try, with its key, value and headers, and headers that say what went wrong. It is acknowledged
 * before progress moves; with `transactional: 'kafka'` it is part of the same transaction.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function deadLetterTopic(options: DeadLetterTopicOptions): FailurePolicy {
  const { topic, output, redact } = checked(
    'deadLetterTopic',
    z.strictObject({
      topic: z.string({ error: instead('must be the name of a topic') }).min(1, 'must be the name of a topic'),
      output: z
        .custom<Output>((value) => typeof Reflect.get(Object(value), 'connect') === 'function', {
          error: 'must be an output, for example kafkaOutput({ brokers }) from tidemark/kafka',
        })
        .optional(),
      redact: letterFields.redact,
    }),
    options,
  )
  return {
    kind: 'tidemark-policy',
    settings: { policy: 'topic', topic },
    ...(redact && { redact }),
    ...(output && { output }),
  }
}

function letterPolicy(what: string, options: DeadLetterOptions, delaysMs: readonly number[]): FailurePolicy {
  const { limits, retention, redact, ...rest } = checked(what, letterSchema, options)
  const settings: { policy: 'dead-letter' } & LetterSettings = {
    policy: 'dead-letter',
    ...rest,
    limits: { keys: limits.keys, messages: limits.messages, ageMs: limits.age ?? null },
    retentionMs: retention,
    delaysMs,
  }
  return { kind: 'tidemark-policy', settings, ...(redact && { redact }) }
}

const policies = ['block', 'pause', 'skip'] as const
const forms = "must be 'block', 'pause', 'skip', deadLetter(), retryLater('10m', ...) or deadLetterTopic({ topic })"

const afterLastTry = z.custom<AfterLastTryOption>(
  (value) => policies.some((one) => one === value) || Reflect.get(Object(value), 'kind') === 'tidemark-policy',
  {
    error: ({ input }) =>
      typeof input === 'function'
        ? `${forms}; this is a function: call it, deadLetter()`
        : `${forms}${guess(input, [...policies, 'deadLetter()', 'deadLetterTopic()'])}`,
  },
)

/** The fields of a consumer that are about failures. */
export const failureFields = {
  classify: synchronous<(error: unknown) => unknown>(
    'must be a function from an error to its class: retryable, transient, poison, or a DownstreamUnavailable',
  ).optional(),
  isolate: z.boolean({ error: instead('must be true or false') }).optional(),
  afterLastTry: afterLastTry.default('block'),
  outageAfter: z.union([wholeNumber(1_000_000), z.literal(false)]).default(5),
}

export const retryFields = {
  attempts: wholeNumber(1_000_000).optional(),
  immediate: z
    .number({ error: instead('must be a whole number') })
    .int('must be a whole number')
    .min(0, 'must be at least 0')
    .max(100, 'must be at most 100')
    .default(2),
  jitter: z
    .number({ error: instead('must be a number from 0 to 1') })
    .min(0, 'must be at least 0')
    .max(1, 'must be at most 1')
    .default(0),
  crashes: count(3),
}

interface Given {
  readonly isolate?: boolean | undefined
  readonly afterLastTry: AfterLastTryOption
  readonly outageAfter: number | false
  readonly retry: {
    readonly attempts?: number | undefined
    readonly immediate: number
    readonly jitter: number
    readonly crashes: number
  }
}

/** @param atomic whether a handler's effects are undone where it fails, so that its chunk may be halved */
export function failureSettings(
  { isolate, afterLastTry: given, outageAfter, retry }: Given,
  atomic: boolean,
): FailureSettings {
  return {
    attempts: retry.attempts ?? null,
    immediate: retry.immediate,
    jitter: retry.jitter,
    isolate: isolate ?? atomic,
    afterLastTry: typeof given === 'string' ? { policy: given } : given.settings,
    outageAfter: outageAfter === false ? null : outageAfter,
    crashes: retry.crashes,
  }
}

/** Where what becomes of failures does not fit the consumer's other options: the field, and why. */
export function failureDisagreements({
  afterLastTry,
  commit,
  transactional,
  output,
  isolate,
}: Pick<Given, 'afterLastTry' | 'isolate'> & {
  readonly commit: { readonly after: string }
  readonly transactional?: 'kafka' | undefined
  readonly output?: Output | undefined
}): readonly string[] {
  const policy = typeof afterLastTry === 'string' ? afterLastTry : afterLastTry.settings.policy
  const moves = policy === 'skip' || policy === 'dead-letter' || policy === 'topic'
  const found: (string | false)[] = [
    moves &&
      commit.after === 'manual' &&
      `afterLastTry: does not go with commit: manual(): there the handler alone says what is done; use 'block' or 'pause'`,
    isolate === true && commit.after === 'manual' && 'isolate: does not go with commit: manual()',
    policy === 'dead-letter' &&
      transactional === 'kafka' &&
      `afterLastTry: deadLetter() and retryLater() keep messages in a database, and no transaction spans that and Kafka: use deadLetterTopic({ topic }), which is part of the Kafka transaction`,
    policy === 'skip' &&
      transactional === 'kafka' &&
      `afterLastTry: 'skip' is recorded in a database, and no transaction spans that and Kafka: use deadLetterTopic({ topic })`,
    policy === 'topic' &&
      output === undefined &&
      typeof afterLastTry === 'object' &&
      afterLastTry.output === undefined &&
      'afterLastTry: deadLetterTopic() needs to know where the topic is: give it { output: kafkaOutput({ brokers }) }, or give the consumer an output',
    policy === 'topic' &&
      transactional === 'kafka' &&
      typeof afterLastTry === 'object' &&
      afterLastTry.output !== undefined &&
      "afterLastTry: with transactional: 'kafka', letters are part of the transaction: leave deadLetterTopic's output out",
  ]
  return found.filter((one) => one !== false)
}
