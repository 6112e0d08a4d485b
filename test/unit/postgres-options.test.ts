import { describe, expect, it } from 'vitest'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import { isTidemarkError } from '../../src/model/errors.js'

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
