import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { postgresStore } from '../../src/entry/postgres.js'
import { type Stack, startStack } from '../../src/local/stack.js'
import { type Certificates, makeCertificates } from '../support/certificates.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['postgres'], 'a Postgres that speaks TLS', () => {
  let stack: Stack
  let certificates: Certificates
  let url: string
  let ca: string
  let cert: string
  let key: string

  beforeAll(async () => {
    certificates = await makeCertificates()
    ;[ca, cert, key] = (await Promise.all(
      [certificates.ca, certificates.cert, certificates.key].map((path) => readFile(path, 'utf8')),
    )) as [string, string, string]
    stack = await startStack({ postgres: { own: true } })
    url = stack.postgres.connectionString
    await expect(connected({ ssl: { ca } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining("takes no TLS: switch it on there, or leave out 'ssl' in the config"),
    })
    await secure(url)
  }, 60_000)
  afterAll(async () => {
    await stack?.stop()
    await certificates?.remove()
  })

  /** The server's user alone may read its key, so the server writes its files. The certificate's name, `localhost`, logs in with it. */
  async function secure(connectionString: string): Promise<void> {
    const client = new pg.Client({ connectionString })
    await client.connect()
    const ask = async (text: string) => (await client.query(text)).rows[0]
    const { folder } = await ask(`select current_setting('data_directory') as folder`)
    const put = async (name: string, text: string) => {
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => client.escapeLiteral(line))
      const program = client.escapeLiteral(`umask 077; cat > '${folder}/${name}'`)
      await client.query(`copy (select unnest(array[${lines}])) to program ${program}`)
    }
    const { hba } = await ask(`select pg_read_file(current_setting('hba_file')) as hba`)
    await put('ca.pem', ca)
    await put('own.pem', cert)
    await put('own.key', key)
    await put('pg_hba.conf', `hostssl all localhost all cert\n${hba}`)
    await client.query('create role localhost superuser login')
    for (const [name, value] of [
      ['ssl_ca_file', 'ca.pem'],
      ['ssl_cert_file', 'own.pem'],
      ['ssl_key_file', 'own.key'],
      ['ssl', 'on'],
    ])
      await client.query(`alter system set ${name} = '${value}'`)
    await client.query('select pg_reload_conf()')
    await client.end()
  }

  async function connected(options: { readonly query?: string; readonly user?: string; readonly ssl?: object }) {
    const address = new URL(url)
    if (options.user) Object.assign(address, { username: options.user, password: '' })
    const { ssl, query = '' } = options
    const store = postgresStore({ connectionString: `${address}${query}`, ...(ssl && { ssl }) } as never)
    const client = await store.connect({ log: silentLog(), signal: new AbortController().signal })
    await client.close()
  }

  it('is reached by those who know its authority, by an option or in the address', async () => {
    await waitFor(() => connected({ ssl: { ca } }).then(() => true), { what: 'the server to speak TLS' })
    await connected({ query: `?sslmode=verify-full&sslrootcert=${certificates.ca}` })
    // The option says more than the address does, and wins.
    await connected({ query: '?sslmode=disable', ssl: { ca } })
  })

  it('knows a client by its certificate', async () => {
    await connected({ user: 'localhost', ssl: { ca, cert, key } })
    await expect(connected({ user: 'localhost', ssl: { ca } })).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringContaining('refused this user (connection requires a valid client certificate)'),
    })
  })

  it.each([{ query: '?sslmode=require' }, { ssl: {} }])('is not trusted without its authority: %j', async (options) => {
    const error = (await connected(options).catch((error: unknown) => error)) as { code: string; message: string }
    expect(error.code).toBe('AUTH_FAILED')
    expect(error.message).toMatch(
      /has shown a certificate that is not trusted \(.+\): name its authority with 'ssl: \{ ca \}'/,
    )
    expect(error.message).not.toContain(new URL(url).password)
  })
})
