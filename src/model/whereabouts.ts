import type { HostAndPort } from './address.js'

/** Where a server is that a part of a config needs, with the login. */
export interface Whereabouts {
  readonly server: 'kafka' | 'postgres' | 'rabbitmq'
  readonly addresses: readonly HostAndPort[]
  readonly login?: { readonly user: string; readonly password: string }
  readonly database?: string
  /** Something that only a server with certificates of its own, or with users that somebody has made there, can do. */
  readonly secured: boolean
}

/** Not a property of a part: it holds a password, and nobody prints it with the part. */
const known = new WeakMap<object, () => Whereabouts>()

/** Notes where a part's server is, for what starts such servers on a developer's machine. Returns the part. */
export function withWhereabouts<T extends object>(part: T, where: () => Whereabouts): T {
  known.set(part, where)
  return part
}

/** Undefined for a part that needs no server, or is not Tidemark's. */
export function whereaboutsOf(part: object): Whereabouts | undefined {
  return known.get(part)?.()
}
