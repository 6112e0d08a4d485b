import { z } from 'zod'
import { guess } from './spelling.js'

const allowed = 'must be true or TLS options'

/** Options of Node's TLS sockets that people set. Others are passed on, unless they look like one of these, misspelled. */
const fields = [
  'ALPNProtocols',
  'ca',
  'cert',
  'checkServerIdentity',
  'ciphers',
  'ecdhCurve',
  'host',
  'key',
  'maxVersion',
  'minDHSize',
  'minVersion',
  'passphrase',
  'pfx',
  'port',
  'rejectUnauthorized',
  'secureContext',
  'secureProtocol',
  'servername',
  'session',
  'sigalgs',
  'timeout',
]

/** What Node would refuse, or silently take for no, when the connection is made. */
const typed: Readonly<Record<string, 'boolean' | 'string'>> = {
  rejectUnauthorized: 'boolean',
  servername: 'string',
  passphrase: 'string',
}

/** On, off, or what Node takes for a TLS socket. Shows no value. */
export const tls = z
  .union([z.boolean(), z.record(z.string(), z.unknown())], { error: allowed })
  .superRefine((given, context) => {
    if (typeof given === 'boolean') return
    for (const [field, value] of Object.entries(given)) {
      const meant = fields.includes(field) ? '' : guess(field, fields)
      if (meant) context.addIssue(`unknown option '${field}'${meant}`)
      const type = typed[field]
      if (type && value !== undefined && typeof value !== type)
        context.addIssue({
          code: 'custom',
          path: [field],
          message: `must be ${type === 'string' ? 'text' : 'true or false'}`,
        })
      // Node takes an empty server name as: send none.
      if (field === 'passphrase' && value === '')
        context.addIssue({ code: 'custom', path: [field], message: 'must not be empty' })
      if (['ca', 'cert', 'key', 'pfx'].includes(field) && !isMaterial(value))
        context.addIssue({ code: 'custom', path: [field], message: 'must be text or a Buffer, or a list of them' })
    }
  })

/** A certificate or a key: PEM, DER, or a list of them, which may be objects with a passphrase. */
function isMaterial(value: unknown): boolean {
  return value === undefined || typeof value === 'string' || (typeof value === 'object' && value !== null)
}

/** What of them must never be shown. */
export function tlsSecrets(options: unknown): readonly string[] {
  if (typeof options !== 'object' || options === null) return []
  return [Reflect.get(options, 'passphrase'), Reflect.get(options, 'key')].filter((one) => typeof one === 'string')
}
