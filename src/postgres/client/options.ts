import { z } from 'zod'
import { withSecrets } from '../../model/secrets.js'
import { withWhereabouts } from '../../model/whereabouts.js'
import { checked } from '../../options/checked.js'
import { count, instead, wholeNumber } from '../../options/fields.js'
import { filledIn, noLongerThan, printable } from '../../options/names.js'
import { tls, tlsSecrets } from '../../options/tls.js'
import { driver } from './driver.js'

/** How to reach a Postgres, as users write it. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`; other libpq parameters may follow after `?`. */
  readonly connectionString: string | undefined
  /** Schema for Tidemark's own tables. Default `tidemark`. */
  readonly schema?: string
  /**
   * Connections that one worker opens at the most for handlers' transactions, and for reading event streams. Default 10. Two
   * more, named `... control`, serve claims, commits and other control statements, which so never wait for a handler.
   */
  readonly poolSize?: number
  /** TLS, as `pg` takes it: true, or Node's options for a TLS socket. It replaces what the connection string says of TLS. */
  readonly ssl?: boolean | Record<string, unknown>
}

export interface PostgresSettings {
  readonly connectionString: string
  readonly schema: string
  readonly poolSize: number
  readonly ssl?: boolean | Record<string, unknown>
}

export const postgresFields = {
  connectionString: z
    .string({ error: 'must be a Postgres URL; is DATABASE_URL set?' })
    .regex(/^postgres(ql)?:\/\//, "must begin with 'postgres://'")
    .superRefine(filledIn)
    .refine(readable, 'can not be read as a Postgres URL: encode special characters of the password, like %40 for @'),
  // The schema's name stands inside of function bodies and literals, too.
  schema: z
    .string({ error: instead('must be the name of a schema') })
    .min(1, 'must not be empty')
    .max(63, 'must not be longer than 63 characters')
    .regex(/^[^'$\\]*$/, "must not contain ' or $ or \\")
    .superRefine(filledIn)
    .default('tidemark'),
  poolSize: count(10, 10_000),
  ssl: tls.optional(),
}

/** Fields of a stream that several functions take. */
export const streamFields = {
  stream: printable('must be the name of a stream')
    .min(1, 'must not be empty')
    .superRefine(filledIn)
    .refine(...noLongerThan(249)),
  partitions: wholeNumber(10_000),
  schema: postgresFields.schema,
}

/** @throws TidemarkError CONFIG_INVALID */
export function parsePostgres(what: string, options: PostgresOptions): PostgresSettings {
  return checked(what, z.strictObject(postgresFields), options) as PostgresSettings
}

const tlsParameter = /^(ssl|sslmode|sslcert|sslkey|sslrootcert|uselibpqcompat)=/

/** Where and how to connect, for the driver. Its parameters of an address would replace `ssl`, which can say more than they do. */
export function connectionOf({ connectionString, ssl }: Pick<PostgresSettings, 'connectionString' | 'ssl'>) {
  if (ssl === undefined) return { connectionString }
  const [address, ...query] = connectionString.split('?')
  const others = query
    .join('?')
    .split('&')
    .filter((parameter) => !tlsParameter.test(parameter))
  return { connectionString: `${address}?${others.join('&')}`, ssl }
}

/** What people may see of a database: where it is, as the driver reads the address. */
export function describePostgres({ connectionString, schema }: PostgresSettings): Record<string, unknown> {
  const { host, port, database } = new driver.Client({ connectionString })
  return { host, port, database, schema }
}

/** What of them must never be shown. A password that is the user's name, too, is shown as that. */
function secretsIn({ connectionString, ssl }: PostgresSettings): readonly string[] {
  const { user, password } = new driver.Client({ connectionString })
  return [...(typeof password === 'string' && password !== user ? [password] : []), ...tlsSecrets(ssl)]
}

/** Notes of a part what must never be shown of it, and where its server is. */
export function noted<T extends object>(part: T, settings: PostgresSettings): T {
  return withWhereabouts(withSecrets(part, secretsIn(settings)), () => {
    const { host, port, database, user, password } = new driver.Client({ connectionString: settings.connectionString })
    return {
      server: 'postgres',
      addresses: [{ host, port }],
      login: { user: user ?? '', password: String(password ?? '') },
      ...(database && { database }),
      secured: settings.ssl !== undefined && settings.ssl !== false,
    }
  })
}

/** The driver's own errors may hold the address and so the password: they go no further. */
function readable(connectionString: string): boolean {
  try {
    new driver.Client({ connectionString })
    return true
  } catch {
    return false
  }
}
