/** Where a server listens. */
export interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** An address as people read it, and as the keys of maps. IPv6 stands in brackets: its own colons would hide the port's. */
export function addressText({ host, port }: HostAndPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Names of this machine, as configs for development have them. */
export const loopback: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '::1'])

/** @param address `host:port`, with IPv6 in brackets */
export function hostAndPort(address: string): HostAndPort {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(colon + 1)) }
}
