/** A broker as users write it. An IPv6 address stands in brackets: its own colons would hide the port's. */
export const brokerAddress = /^(\[[\da-fA-F:.]+(%[^\]\s]+)?\]|[^:\s[\]]+):\d{1,5}$/

/** A broker as people read it, and as the keys of maps: what `hostAndPort` takes apart. */
export function addressText({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** @param address as `brokerAddress` allows it */
export function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(colon + 1)) }
}
