import { hostAndPort, loopback } from './address.js'
import { type ErrorPlace, messageOf, TidemarkError } from './errors.js'

/* What a server that Tidemark talks to can answer, or fail to: the same words for brokers and databases. */

interface Said {
  /** The server: `Kafka at broker:9092`, or several addresses with commas between them. */
  readonly where: string
  /** What people should do about it: `check 'sasl' in the config`. */
  readonly toDo: string
  readonly cause?: unknown
  readonly place?: ErrorPlace
}

/**
 * Nobody answers there, or not yet. Where nothing listens at an address of this machine, a beginner may have started no servers yet.
 *
 * @param isNamed a server that runs has named that address
 */
export function unreachable({
  where,
  toDo,
  isNamed = false,
  ...options
}: Said & { readonly cause: unknown; readonly isNamed?: boolean }): TidemarkError {
  const why = reason(options.cause)
  const hint = !isNamed && nothingListens.test(why) && isHere(where) ? forDevelopment : ''
  const text = `${where} can't be reached: ${toDo}${hint} (${why})`
  return new TidemarkError('UNREACHABLE', text, options)
}

/** What Node and Temporal's client say. */
const nothingListens = /ECONNREFUSED|Failed to connect before the deadline/
const forDevelopment = " For development, 'npx tidemark dev' starts it; see docs/troubleshooting.md"

function isHere(where: string): boolean {
  const addresses = where.split(/,? /).filter((word) => /:\d+$/.test(word))
  return addresses.some((address) => loopback.has(hostAndPort(address).host))
}

/** The first line: the rest is for those who know the library that says it. */
function reason(cause: unknown): string {
  return messageOf(cause).split('\n')[0]!.trim()
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
