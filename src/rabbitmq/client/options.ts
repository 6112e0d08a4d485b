import type { ConnectionOptions } from 'node:tls'
import { z } from 'zod'
import { TidemarkError } from '../../model/errors.js'
import { withSecrets } from '../../model/secrets.js'
import type { Duration } from '../../model/units.js'
import { withWhereabouts } from '../../model/whereabouts.js'
import { checked } from '../../options/checked.js'
import { decodeFields } from '../../options/decode-fields.js'
import { flag, listed, serverTime } from '../../options/fields.js'
import { filledIn } from '../../options/names.js'
import { guess } from '../../options/spelling.js'
import { tls, tlsSecrets } from '../../options/tls.js'
import { type DecodeOptions, valueOption } from '../../reading/value.js'

/** What a message's key is taken from: a standard property, or an application property by its name. */
export type KeyOption = 'message-id' | 'correlation-id' | 'group-id' | 'subject' | { readonly header: string }

/** A RabbitMQ stream or super stream, as users write it: where the broker is, and one of `stream` and `superStream`. */
export interface RabbitmqOptions<V> extends DecodeOptions<V> {
  /** `rabbitmq-stream://user:password@host:5552/vhost`; with `rabbitmq-stream+tls` as scheme for TLS. */
  readonly url?: string
  /** The broker, where no `url` names it. Default `127.0.0.1`. */
  readonly host?: string
  /** The port of the stream protocol, not that of AMQP. Default 5552, with TLS 5551. */
  readonly port?: number
  /** The login. Default `guest`. */
  readonly username?: string
  /** Its password. Default `guest`. */
  readonly password?: string
  /** Virtual host. Default `/`. */
  readonly vhost?: string
  /** TLS: true, or Node's options for a TLS socket. Default: as the scheme of `url` says. */
  readonly ssl?: boolean | ConnectionOptions
  /** Name of a single stream: one partition. */
  readonly stream?: string
  /** A stream of partitions, each a stream of its own. */
  readonly superStream?: string
  /** What a message's key is taken from. Default `message-id`. */
  readonly key?: KeyOption
  /** False keeps Tidemark from showing its offsets in the stream's own tracking, and from writing anything there. Default true. */
  readonly groupOffsets?: boolean
  /** Name in the broker's list of connections. Default `tidemark`. */
  readonly connectionName?: string
  /** How long connecting to a broker may take. Default 5s. */
  readonly connectionTimeout?: Duration
  /** How long an answer may take. Default 10s. */
  readonly requestTimeout?: Duration
  /** How often broker and client show each other that they live; a broker silent for 2.5 times that is given up. Default 10s. */
  readonly heartbeat?: Duration
}

export interface RabbitmqSettings {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password: string
  readonly vhost: string
  readonly ssl: ConnectionOptions | null
  /** Name of the stream, or of the super stream. */
  readonly name: string
  readonly isSuper: boolean
  /** Header that holds the key. */
  readonly keyHeader: string
  readonly groupOffsets: boolean
  readonly connectionName: string
  readonly connectionTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly heartbeatMs: number
  readonly decodeConcurrency: number
  readonly decodeTimeoutMs: number
}

const text = (what: string) =>
  z
    .string({ error: `must be ${what}` })
    .min(1, 'must not be empty')
    .superRefine(filledIn)
/** AMQP's limit for names of queues and exchanges. */
const longestName = 255
const streamName = text('the name of a stream')
  .refine((name) => Buffer.byteLength(name) <= longestName, `must not be longer than ${longestName} bytes`)
  .optional()
const standardKeys = ['message-id', 'correlation-id', 'group-id', 'subject'] as const

/** How a broker is reached, whatever for. */
export const connectionFields = {
  url: text('text').optional(),
  host: text('a host name').optional(),
  port: z
    .int({ error: 'must be a port number', abort: true })
    .min(1, 'must be a port number: from 1')
    .max(65_535, 'must be a port number: at most 65535')
    .optional(),
  username: text('text').optional(),
  password: z.string({ error: 'must be text' }).optional(),
  vhost: text('text').optional(),
  ssl: tls.optional(),
  connectionName: text('text').default('tidemark'),
  connectionTimeout: serverTime('5s', 10, 100),
  requestTimeout: serverTime('10s', 100),
  heartbeat: serverTime('10s', 1_000),
}

export const rabbitmqSchema = z.strictObject({
  ...connectionFields,
  stream: streamName,
  superStream: streamName,
  value: valueOption.optional(),
  ...decodeFields,
  key: z
    .union([z.enum(standardKeys), z.strictObject({ header: text('text') })], {
      error: ({ input }) => `must be ${listed(standardKeys)}, or { header: 'name' }${guess(input, standardKeys)}`,
    })
    .default('message-id'),
  groupOffsets: flag.default(true),
})

/**
 * Checks a source's options. No value is shown that may hold a password.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function parseRabbitmq(options: unknown, name = 'rabbitmq'): RabbitmqSettings {
  const { url, stream, superStream, key, connectionTimeout, requestTimeout, heartbeat, decodeTimeout, ...rest } =
    checked(`${name}()`, rabbitmqSchema, options)
  if ((stream === undefined) === (superStream === undefined)) refuse(name, "needs one of 'stream' and 'superStream'")
  const place = url === undefined ? {} : fromUrl(url, name)
  for (const field of ['host', 'port', 'username', 'password', 'vhost'] as const)
    if (url !== undefined && rest[field] !== undefined) refuse(name, `'url' says '${field}' already: leave one out`)
  const secure = rest.ssl === undefined ? (place.tls ?? false) : rest.ssl !== false
  return {
    host: place.host ?? rest.host ?? '127.0.0.1',
    port: place.port ?? rest.port ?? (secure ? 5551 : 5552),
    username: place.username ?? rest.username ?? 'guest',
    password: place.password ?? rest.password ?? 'guest',
    vhost: place.vhost ?? rest.vhost ?? '/',
    ssl: secure ? (typeof rest.ssl === 'object' ? rest.ssl : {}) : null,
    name: stream ?? superStream!,
    isSuper: superStream !== undefined,
    keyHeader: typeof key === 'object' ? key.header : `properties.${key}`,
    groupOffsets: rest.groupOffsets,
    connectionName: rest.connectionName,
    connectionTimeoutMs: connectionTimeout,
    requestTimeoutMs: requestTimeout,
    heartbeatMs: heartbeat,
    decodeConcurrency: rest.decodeConcurrency,
    decodeTimeoutMs: decodeTimeout,
  }
}

/** What of a connection's settings must never be shown. */
function secretsIn({ password, username, ssl }: RabbitmqSettings): readonly string[] {
  return [...(password === username ? [] : [password]), ...tlsSecrets(ssl)]
}

/** Notes of a part what must never be shown of it, and where its broker is. */
export function noted<T extends object>(part: T, settings: RabbitmqSettings, moreSecrets: readonly string[] = []): T {
  const { host, port, username, password, vhost, ssl } = settings
  return withWhereabouts(withSecrets(part, [...secretsIn(settings), ...moreSecrets]), () => ({
    server: 'rabbitmq',
    addresses: [{ host, port }],
    login: { user: username, password },
    secured: ssl !== null || vhost !== '/',
  }))
}

interface Place {
  readonly host?: string
  readonly port?: number
  readonly username?: string
  readonly password?: string
  readonly vhost?: string
  readonly tls?: boolean
}

function fromUrl(url: string, name: string): Place {
  const found = URL.canParse(url) ? new URL(url) : null
  if (!found?.hostname || !/^rabbitmq-stream(\+tls)?:$/.test(found.protocol))
    return refuse(name, "'url' must be like 'rabbitmq-stream://user:password@host:5552/vhost'")
  try {
    const [username, password] = [found.username, found.password].map(decodeURIComponent)
    const vhost = decodeURIComponent(found.pathname.slice(1))
    return {
      host: found.hostname.replace(/^\[|\]$/g, ''),
      tls: found.protocol.includes('tls'),
      ...(found.port && { port: Number(found.port) }),
      ...(username && { username }),
      ...(password && { password }),
      ...(vhost && { vhost }),
    }
  } catch {
    return refuse(name, "'url' has a % that begins no escape")
  }
}

function refuse(name: string, what: string): never {
  throw new TidemarkError('CONFIG_INVALID', `${name}(): ${what}`)
}
