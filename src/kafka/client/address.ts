import { isIPv6 } from 'node:net'
import { hostAndPort } from '../../model/address.js'

const highestPort = 65_535

/** Whether users may write a broker so: `host:port`, with an IPv6 address in brackets. */
export function isBrokerAddress(text: string): boolean {
  if (!/^(\[[^\s[\]]+\]|[^:\s[\]/@]+):\d{1,5}$/.test(text)) return false
  const { host, port } = hostAndPort(text)
  return port >= 1 && port <= highestPort && (!text.startsWith('[') || isIPv6(host))
}
