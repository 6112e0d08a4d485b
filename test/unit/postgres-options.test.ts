import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import { isTidemarkError } from '../../src/model/errors.js'
import { connectionOf } from '../../src/postgres/client/options.js'
import { connectError } from '../../src/postgres/client/pool.js'

const good = 'postgres://app:hunter2@db.example:6543/shop%20floor?sslmode=disable'

function refusal(options: Parameters<typeof postgresStore>[0]): Error {
  try {
    postgresStore(options)
  } catch (error) {
    expect(isTidemarkError(error) && error.code).toBe('CONFIG_INVALID')
    return error as Error
  }
  throw new Error('the options were taken')
}

describe('Postgres options', () => {
  it('describe says where the tables are, and no secret', () => {
    const { describe: about } = postgresStore({ connectionString: good, schema: 'mine' })
    expect(about).toEqual({ host: 'db.example', port: 6543, database: 'shop floor', schema: 'mine' })
  })

  it('describe fills in what the address leaves out', () => {
    const { describe: about } = postgresDatabase({ connectionString: 'postgresql://app@db' })
    expect(about).toEqual({ host: 'db', port: 5432, database: 'app', schema: 'tidemark' })
  })

  it('a socket folder in the parameters is the host', () => {
    const { describe: about } = postgresStore({
      connectionString: 'postgres:///shop?host=/var/run/postgresql&user=app',
    })
    expect(about).toMatchObject({ host: '/var/run/postgresql', database: 'shop' })
  })

  it('a missing connection string names the variable that is likely unset', () => {
    expect(refusal({ connectionString: undefined }).message).toMatch(/postgresStore\.connectionString: .*DATABASE_URL/)
  })

  it.each([
    'postgres://app:hunter2@:5432/shop',
    'postgres://app:hunter2@db:port/shop',
    'mysql://app:hunter2@db/shop',
    'app:hunter2@db/shop',
  ])('refuses an address it can not read, and never shows it (%#)', (connectionString) => {
    const error = refusal({ connectionString })
    expect(error.message).toContain('postgresStore.connectionString')
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('hunter2')
  })

  it('names the field that is wrong', () => {
    expect(refusal({ connectionString: good, poolSize: 0 }).message).toContain('postgresStore.poolSize')
    expect(refusal({ connectionString: good, schema: '' }).message).toContain('postgresStore.schema')
    expect(refusal({ connectionString: good, pool: 3 } as never).message).toContain("unknown option 'pool'")
  })
})

describe('TLS to Postgres', () => {
  const address = 'postgres://app:hunter2@db/shop'
  const ssl = { rejectUnauthorized: false }
  /** What the driver makes of it. */
  const driven = (connectionString: string, given?: typeof ssl) => {
    const { host, database, user, ssl } = new pg.Client(
      connectionOf({ connectionString, ...(given && { ssl: given }) }),
    ) as pg.Client & { readonly ssl: unknown }
    return { host, database, user, ssl }
  }
  const rest = { host: 'db', database: 'shop', user: 'app' }

  it.each([
    '',
    '?sslmode=verify-full',
    '?sslmode=disable&uselibpqcompat=true',
    '?ssl=0',
    '?user=app&sslmode=no-verify',
  ])("is what the option 'ssl' says, whatever the address says (%s)", (query) =>
    expect(driven(address + query, ssl)).toEqual({ ...rest, ssl }),
  )

  it('is what the address says where there is no option', () => {
    expect(driven(`${address}?sslmode=verify-full`)).toEqual({ ...rest, ssl: {} })
    expect(driven(`${address}?sslmode=disable`)).toEqual({ ...rest, ssl: false })
  })

  it('with a certificate that is not trusted names the server and what to do', () => {
    const thrown = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect(connectError(thrown, { connectionString: address, schema: 'tidemark', poolSize: 1 })).toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringMatching(
        /^Postgres at db:5432 has shown a certificate that is not trusted \(self-signed certificate\): .+'ssl: \{ ca \}'/,
      ),
    })
  })
})
