import type { ConnectionOptions } from 'node:tls'
import type { SASLOptions } from 'kafkajs'
import { z } from 'zod'
import { hostAndPort } from '../../model/address.js'
import { withSecrets } from '../../model/secrets.js'
import type { Duration } from '../../model/units.js'
import { withWhereabouts } from '../../model/whereabouts.js'
import { checked, unknownOption } from '../../options/checked.js'
import { decodeFields } from '../../options/decode-fields.js'
import { flag, instead, listed, serverTime } from '../../options/fields.js'
import { filledIn } from '../../options/names.js'
import { guess } from '../../options/spelling.js'
import { tls, tlsSecrets } from '../../options/tls.js'
import { type DecodeOptions, valueOption } from '../../reading/value.js'
import { isBrokerAddress } from './address.js'

/** A Kafka topic, as users write it. */
export interface KafkaOptions<V> extends DecodeOptions<V> {
  /** `host:port` of one or more brokers; the others are found through them. */
  readonly brokers: readonly string[]
  /** Name of the topic. It must exist. */
  readonly topic: string
  /** Name in the broker's logs and quotas. Default `tidemark`. */
  readonly clientId?: string
  /** Rack of this worker, so that brokers may let it read from the nearest replica. KIP-392. */
  readonly rackId?: string
  /** TLS: true, or Node's options for a TLS socket. Default: none. */
  readonly ssl?: boolean | ConnectionOptions
  /** The login: a `mechanism` (`plain`, `scram-sha-256`, `scram-sha-512`, `aws`, `oauthbearer`) and what it takes, as in kafkajs. */
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
  /** How long connecting to a broker may take. Default 3s. */
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
  readonly decodeConcurrency: number
  readonly decodeTimeoutMs: number
}

/** What each mechanism takes, and which of that must be there. */
const mechanisms = {
  plain: { needs: ['username', 'password'], takes: [] },
  'scram-sha-256': { needs: ['username', 'password'], takes: [] },
  'scram-sha-512': { needs: ['username', 'password'], takes: [] },
  aws: { needs: ['authorizationIdentity', 'accessKeyId', 'secretAccessKey'], takes: ['sessionToken'] },
  oauthbearer: { needs: ['oauthBearerProvider'], takes: [] },
} as const
const mechanismNames = Object.keys(mechanisms) as (keyof typeof mechanisms)[]

/** Shows no value: all of them may be secrets, even the mechanism's when two were confused. */
const login = z
  .looseObject(
    {
      mechanism: z.enum(mechanismNames, {
        error: ({ input }) => `must be ${listed(mechanismNames)}${guess(input, mechanismNames)}`,
      }),
    },
    { error: 'must be an object with a mechanism' },
  )
  .superRefine((sasl, context) => {
    const { needs, takes } = mechanisms[sasl.mechanism]
    const fields = ['mechanism', ...needs, ...takes]
    for (const field of Object.keys(sasl)) if (!fields.includes(field)) context.addIssue(unknownOption(field, fields))
    const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message })
    for (const field of fields) {
      const value = sasl[field]
      if (value === undefined || value === null) {
        if ((needs as readonly string[]).includes(field)) refuse(field, `must be there for '${sasl.mechanism}'`)
      } else if (field === 'oauthBearerProvider') {
        if (typeof value !== 'function') refuse(field, 'must be a function that returns a token')
      } else if (typeof value !== 'string') refuse(field, 'must be text')
      else if (value === '') refuse(field, 'must not be empty')
    }
  })

/** How a cluster is reached, whatever for. */
export const connectionFields = {
  brokers: z
    .array(
      z
        .string({ error: "must be 'host:port'" })
        .refine(isBrokerAddress, "must be 'host:port', for example '127.0.0.1:9092' or '[::1]:9092'")
        .superRefine(filledIn),
      {
        error: "must be a list like ['127.0.0.1:9092']",
      },
    )
    .min(1, 'must name at least one broker'),
  clientId: z
    .string({ error: instead('must be text') })
    .min(1, 'must not be empty')
    .default('tidemark'),
  ssl: tls.optional(),
  sasl: login.optional(),
  connectionTimeout: serverTime('3s', 10, 100),
  requestTimeout: serverTime('30s', 100),
}

export const kafkaSchema = z.strictObject({
  ...connectionFields,
  topic: z
    .string({ error: instead('must be the name of a topic') })
    .regex(
      /^[a-zA-Z0-9._-]{1,249}$/,
      'must be a legal topic name: letters, digits, dot, dash and underscore, at most 249',
    )
    .refine((name) => !/^\.\.?$/.test(name), "must not be '.' or '..', which Kafka takes for no topic")
    .superRefine(filledIn),
  value: valueOption.optional(),
  ...decodeFields,
  rackId: z.string({ error: instead('must be text') }).default(''),
  readUncommitted: flag.default(false),
  groupOffsets: flag.default(true),
  fetchMaxWait: serverTime('500ms', 10),
})

/** What of a connection's settings must never be shown. */
function secretsIn({ ssl, sasl }: Pick<KafkaSettings, 'ssl' | 'sasl'>): readonly string[] {
  const { mechanism: _, username, ...login } = { username: '', ...sasl } as Record<string, unknown>
  return [...Object.values(login), ...tlsSecrets(ssl)].filter(
    (one) => typeof one === 'string' && one !== username,
  ) as string[]
}

/** Notes of a part what must never be shown of it, and where its brokers are. */
export function noted<T extends object>(
  part: T,
  settings: Pick<KafkaSettings, 'brokers' | 'ssl' | 'sasl'>,
  moreSecrets: readonly string[] = [],
): T {
  const { brokers, ssl, sasl } = settings
  return withWhereabouts(withSecrets(part, [...secretsIn(settings), ...moreSecrets]), () => ({
    server: 'kafka',
    addresses: brokers.map(hostAndPort),
    secured: (ssl !== undefined && ssl !== false) || sasl !== undefined,
  }))
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
    decodeTimeout,
    value: _,
    ssl,
    sasl,
    ...rest
  } = checked(`${name}()`, kafkaSchema, options)
  return {
    ...rest,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl: sasl as SASLOptions }),
    fetchMaxWaitMs: fetchMaxWait,
    connectionTimeoutMs: connectionTimeout,
    requestTimeoutMs: requestTimeout,
    decodeTimeoutMs: decodeTimeout,
  }
}
