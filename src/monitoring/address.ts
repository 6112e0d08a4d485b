import { isIPv6 } from 'node:net'
import { addressText } from '../model/address.js'
import { TidemarkError } from '../model/errors.js'

export interface ListenAddress {
  readonly host: string
  /** 0: the system chooses one that is free. */
  readonly port: number
}

/** Only this machine reaches it, unless told otherwise. */
const ownHost = '127.0.0.1'

/**
 * Where to listen: a port of 127.0.0.1, or `host:port`. Brackets hold an IPv6 address.
 *
 * @param option what the user calls it: `--port`
 * @throws TidemarkError CONFIG_INVALID
 */
export function parseListenAddress(value: number | string, option: string): ListenAddress {
  const found = /^(?:(\[[^\]]+\]|[^\s:[\]/]+):)?(\d{1,5})$/.exec(String(value).trim())
  const host = (found?.[1] ?? ownHost).replace(/^\[(.*)\]$/, '$1')
  const port = Number(found?.[2])
  const isWrongHost = found?.[1]?.startsWith('[') && !isIPv6(host)
  if (!found || port > 65_535 || isWrongHost)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${option} '${value}' is no address to listen on: give a port (9464), which only this machine reaches, or host:port ` +
        '(0.0.0.0:9464, [::]:9464), which others reach, too',
    )
  return { host, port }
}

export function describeAddress(address: ListenAddress): string {
  return `http://${addressText(address)}`
}
