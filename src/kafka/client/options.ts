import type { ConnectionOptions } from 'node:tls'
import type { SASLOptions } from 'kafkajs'
import { z } from 'zod'
import type { Duration } from '../../model/units.js'
import { checked } from '../../options/checked.js'
import { flag, serverTime, tls, tlsSecrets } from '../../options/fields.js'
import { type ValueOption, valueOption } from '../../reading/value.js'

/** A Kafka topic, as users write it. */
export interface KafkaOptions<V> {
  /** `host:port` of one or more brokers; the others are found through them. */
  readonly brokers: readonly string[]
  readonly topic: string
  /** How values are decoded: `json()` (default), `text()`, `bytes()`, or a function of the bytes. */
  readonly value?: ValueOption<V>
  /** Name in the broker's logs and quotas. Default `tidemark`. */
  readonly clientId?: string
  /** Rack of this worker, so that brokers may let it read from the nearest replica. KIP-392. */
  readonly rackId?: string
  readonly ssl?: boolean | ConnectionOptions
  readonly sasl?: SASLOptions
  /** Deliver records of open and aborted transactions, too. Default false. */
  readonly readUncommitted?: boolean
  /**
   * Whether the group's offsets in Kafka show how far Tidemark's consumer has come, so that people's tools for lag go on
   * working. Needs the right to read the group. Default true.
   */
  readonly groupOffsets?: boolean
  /** How long a broker may hold a fetch open while there is nothing new. Default 500ms, at least 10ms. */
  readonly fetchMaxWait?: Duration
  /** Default 3s. */
  readonly connectionTimeout?: Duration
  /** How long an answer may take. Default 30s. */
  readonly requestTimeout?: Duration
}

export interface KafkaSettings {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly clientId: string
  readonly rackId: string
  readonly ssl?: boolean | ConnectionOptions
  readonly sasl?: SASLOptions
  readonly readUncommitted: boolean
  readonly groupOffsets: boolean
  readonly fetchMaxWaitMs: number
  readonly connectionTimeoutMs: number
  readonly requestTimeoutMs: number
}

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512', 'aws', 'oauthbearer'] as const

const login = z
  .looseObject(
    { mechanism: z.enum(mechanisms, { error: `must be ${mechanisms.map((name) => `'${name}'`).join(', ')}` }) },
    { error: 'must be an object with a mechanism' },
  )
  .superRefine((sasl, context) => {
    if (sasl.mechanism === 'aws' || sasl.mechanism === 'oauthbearer') return
    for (const field of ['username', 'password'])
      if (typeof sasl[field] !== 'string')
        context.addIssue({ code: 'custom', path: [field], message: `must be there for '${sasl.mechanism}'` })
  })

const schema = z.strictObject({
  brokers: z
    .array(z.string().regex(/^[^:\s]+:\d+$/, "must be 'host:port'"), {
      error: "must be a list like ['127.0.0.1:9092']",
    })
    .min(1, 'must name at least one broker'),
  topic: z
    .string({ error: 'must be the name of a topic' })
    .regex(
      /^[a-zA-Z0-9._-]{1,249}$/,
      'must be a legal topic name: letters, digits, dot, dash and underscore, at most 249',
    ),
  value: valueOption.optional(),
  clientId: z.string({ error: 'must be text' }).min(1, 'must not be empty').default('tidemark'),
  rackId: z.string({ error: 'must be text' }).default(''),
  ssl: tls.optional(),
  sasl: login.optional(),
  readUncommitted: flag.default(false),
  groupOffsets: flag.default(true),
  fetchMaxWait: serverTime('500ms', 10),
  connectionTimeout: serverTime('3s', 10),
  requestTimeout: serverTime('30s', 100),
})

/** What of a connection's settings must never be shown. */
export function secretsIn({ ssl, sasl }: Pick<KafkaSettings, 'ssl' | 'sasl'>): readonly string[] {
  const { mechanism: _, username, ...login } = { username: '', ...sasl } as Record<string, unknown>
  return [...Object.values(login), ...tlsSecrets(ssl)].filter(
    (one) => typeof one === 'string' && one !== username,
  ) as string[]
}

/**
 * Checks a source's options. Values of `sasl` and `ssl` are never shown.
 *
 * @param name what the options were given to, for errors
 * @throws TidemarkError CONFIG_INVALID
 */
export function parseKafka(options: unknown, name = 'kafka'): KafkaSettings {
  const {
    fetchMaxWait,
    connectionTimeout,
    requestTimeout,
    value: _,
    ssl,
    sasl,
    ...rest
  } = checked(`${name}()`, schema, options)
  return {
    ...rest,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl: sasl as SASLOptions }),
    fetchMaxWaitMs: fetchMaxWait,
    connectionTimeoutMs: connectionTimeout,
    requestTimeoutMs: requestTimeout,
  }
}
