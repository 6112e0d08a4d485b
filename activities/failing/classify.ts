import type { ErrorClass } from '../../src/config/failures.js'
import { isTidemarkError } from '../../src/model/errors.js'
import { type DownstreamUnavailable, isNamed } from '../../src/model/handler-errors.js'
import { behind, lookAt, unlessItThrows } from '../../src/model/thrown.js'

/**
 * What kind of failure it is.
 *
 * - `retryable`   uses up a try of its message
 * - `transient`   passes at once: a deadlock, a serialization failure. Uses up nothing
 * - `poison`      no retry helps
 * - `unavailable` what the handler needs is away: the partition waits for it. Uses up nothing
 */
export type Fault =
  | { readonly class: 'retryable' | 'transient' | 'poison' }
  | { readonly class: 'unavailable'; readonly dependency: string }

export type Classify = (error: unknown) => ErrorClass | undefined

/** Errors behind an error that are looked at. */
const mostBehind = 8
/** SQLSTATEs: serialization failure, deadlock, lock not available. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const transientStates = new Set(['40001', '40P01', '55P03'])
/** Classes 08, 53 and 57P: no connection, no resources (a full disk among them), and a server that shuts down or starts; and 25006, a replica. */
const outageStates = /^(?:08\w{3}|53\w{3}|57P0[123]|25006)$/
const outageCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_SOCKET',
])
/** Too many requests, and what gateways answer for a service that is away. */
const outageStatuses = new Set([429, 502, 503, 504])
/** pg gives these no code. */
const brokenConnection =
  /^(?:Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect)/

/**
 * Looks at what a handler has thrown, and at what lies behind it. Never throws: an error in the user's classifier counts as retryable.
 *
 * @param onBroken is told of what the classifier throws, or returns without a meaning
 */
export function faultOf(thrown: unknown, classify: Classify | undefined, onBroken: (what: unknown) => void): Fault {
  const cause = isNamed(thrown, 'PartialFailure') ? unlessItThrows(() => (thrown as Error).cause) : thrown
  const own = ownFault(cause)
  if (own) return own
  if (classify) {
    try {
      const said: unknown = classify(cause)
      if (said === 'retryable' || said === 'transient' || said === 'poison') return { class: said }
      const named = ownFault(said)
      if (named) return named
      if (said !== undefined && said !== null) {
        if (said instanceof Promise) said.catch(() => {})
        onBroken(
          new Error(
            `it returned ${lookAt(said).what}: it must return 'retryable', 'transient', 'poison', a DownstreamUnavailable or undefined, and no promise`,
          ),
        )
        return { class: 'retryable' }
      }
    } catch (error) {
      onBroken(error)
      return { class: 'retryable' }
    }
  }
  return faultAsSeen(cause)
}

/** What Tidemark's own classes say. */
function ownFault(thrown: unknown): Fault | null {
  if (isNamed(thrown, 'Poison')) return { class: 'poison' }
  if (!isNamed(thrown, 'DownstreamUnavailable')) return null
  const name = unlessItThrows(() => (thrown as DownstreamUnavailable).dependency)
  return { class: 'unavailable', dependency: nameOr(name, 'a service') }
}

function faultAsSeen(thrown: unknown): Fault {
  const seen = new Set<unknown>()
  for (const queue: unknown[] = [thrown]; queue.length > 0 && seen.size < mostBehind; ) {
    const one = queue.shift()
    if (seen.has(one)) continue
    seen.add(one)
    const fault = ownFault(one) ?? faultOfOne(one)
    if (fault) return fault
    queue.push(...behind(one))
  }
  return { class: 'retryable' }
}

function faultOfOne(thrown: unknown): Fault | null {
  if (typeof thrown !== 'object' || thrown === null) return null
  const { code, message } = lookAt(thrown)
  // A login that is refused is the cluster's trouble, too, and none of a message.
  if (unlessItThrows(() => isTidemarkError(thrown) && (thrown.code === 'UNREACHABLE' || thrown.code === 'AUTH_FAILED')))
    return { class: 'unavailable', dependency: 'what the handler writes to' }
  if (code !== null && transientStates.has(code)) return { class: 'transient' }
  if (code !== null && outageStates.test(code) && isOfDatabase(thrown))
    return { class: 'unavailable', dependency: 'the database' }
  if (code !== null && outageCodes.has(code)) return { class: 'unavailable', dependency: addressIn(thrown) }
  if (message !== null && brokenConnection.test(message)) return { class: 'unavailable', dependency: 'the database' }
  const status = statusIn(thrown)
  if (status !== null && outageStatuses.has(status))
    return { class: 'unavailable', dependency: hostIn(thrown) ?? `a service that answers ${status}` }
  return null
}

/** `08006` alone could be anybody's code. */
function isOfDatabase(thrown: object): boolean {
  return get(thrown, 'severity') !== undefined || get(thrown, 'routine') !== undefined
}

function addressIn(thrown: object): string {
  const host = nameOr(get(thrown, 'address') ?? get(thrown, 'hostname') ?? get(thrown, 'host'), '')
  const port = get(thrown, 'port')
  if (host === '') return hostIn(thrown) ?? 'a connection'
  return typeof port === 'number' ? `${host}:${port}` : host
}

/** Of the errors of fetch wrappers, axios, got and others. */
function statusIn(thrown: object): number | null {
  const response = get(thrown, 'response')
  const found = [
    get(thrown, 'status'),
    get(thrown, 'statusCode'),
    response && get(response, 'status'),
    response && get(response, 'statusCode'),
  ]
  return found.find((one): one is number => typeof one === 'number') ?? null
}

/** The host alone: a path or a query may hold what is secret. */
function hostIn(thrown: object): string | null {
  const [config, response] = [get(thrown, 'config'), get(thrown, 'response')]
  const urls = [get(thrown, 'url'), config && get(config, 'url'), response && get(response, 'url')]
  for (const url of urls) {
    const host = typeof url === 'string' ? unlessItThrows(() => new URL(url.slice(0, 2_000)).host) : undefined
    if (host) return host
  }
  return null
}

function get(thing: unknown, property: string): unknown {
  return typeof thing === 'object' && thing !== null
    ? unlessItThrows((): unknown => Reflect.get(thing, property))
    : undefined
}

function nameOr(name: unknown, other: string): string {
  return typeof name === 'string' && name !== '' ? name.slice(0, 100) : other
}
