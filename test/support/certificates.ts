import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Files in PEM format: an authority nobody else knows, and what it has signed for 127.0.0.1, ::1 and localhost. */
export interface Certificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
  remove(): Promise<void>
}

export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-certificates-'))
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder })
  const keyOf = (name: string) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', name]
  await writeFile(at('names'), 'subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\n')
  await openssl('req', '-x509', ...keyOf('ca.key'), '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test authority')
  await openssl('req', ...keyOf('server.key'), '-out', 'server.csr', '-subj', '/CN=localhost')
  const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
  await openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    ...authority,
    '-out',
    'server.pem',
    '-days',
    '2',
    '-extfile',
    'names',
  )
  const remove = () => rm(folder, { recursive: true, force: true })
  return { ca: at('ca.pem'), cert: at('server.pem'), key: at('server.key'), remove }
}
