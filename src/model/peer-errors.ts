import { type ErrorPlace, messageOf, TidemarkError } from './errors.js'

/* What a server that Tidemark talks to can answer, or fail to: the same words for brokers and databases. */

interface Said {
  /** The server: `Kafka at broker:9092`. */
  readonly where: string
  /** What people should do about it: `check 'sasl' in the config`. */
  readonly toDo: string
  readonly cause?: unknown
  readonly place?: ErrorPlace
}

/** Nobody answers there, or not yet. */
export function unreachable({ where, toDo, ...options }: Said & { readonly cause: unknown }): TidemarkError {
  const text = `${where} can't be reached: ${toDo} (${messageOf(options.cause)})`
  return new TidemarkError('UNREACHABLE', text, options)
}

/** @param whom what the server does not accept: `user 'bank'`; it may say why */
export function accessDenied(whom: string, { where, toDo, ...options }: Said): TidemarkError {
  return new TidemarkError('AUTH_FAILED', `${where} refused ${whom}: ${toDo}`, options)
}

/** Whether the other side has ended a TLS connection with an alert, as it does where it wants a certificate of its clients. */
export function isTlsRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^ERR_SSL_.*ALERT/.test(String(error.code))
}

export function tlsRefused({ where, ...options }: Omit<Said, 'toDo'>): TidemarkError {
  const code = (options.cause as { code?: unknown } | undefined)?.code
  const text = `${where} has ended the TLS connection (${code}): check 'ssl' in the config, and its 'cert' and 'key' where the server wants to know its clients`
  return new TidemarkError('AUTH_FAILED', text, options)
}

/** Node's codes for a certificate that it does not trust. */
const untrusted = /CERT|UNABLE_TO_|SELF_SIGNED|SIGNATURE|CRL_/

/** Whether a TLS connection failed because this side does not trust the certificate of the other one. */
export function isUntrustedCertificate(error: unknown): boolean {
  return error instanceof Error && 'code' in error && untrusted.test(String(error.code)) && !isTlsRefusal(error)
}

export function untrustedCertificate({ where, ...options }: Omit<Said, 'toDo'>): TidemarkError {
  const text = `${where} has shown a certificate that is not trusted (${messageOf(options.cause)}): name its authority with 'ssl: { ca }' in the config, and address the server by the name in the certificate`
  return new TidemarkError('AUTH_FAILED', text, options)
}

/** @param what what is missing there: `topic 'orders'` */
export function streamNotFound(what: string, { where, toDo, ...options }: Said): TidemarkError {
  return new TidemarkError('STREAM_NOT_FOUND', `${where} has no ${what}: ${toDo}`, options)
}
