import { addressText } from '../../model/address.js'
import { type ErrorPlace, TidemarkError } from '../../model/errors.js'
import {
  accessDenied,
  isTlsRefusal,
  isUntrustedCertificate,
  streamNotFound,
  tlsRefused,
  unreachable,
  untrustedCertificate,
} from '../../model/peer-errors.js'
import type { RabbitmqSettings } from './options.js'
import { WrongPort } from './strangers.js'

/** The broker understood a request and said no. */
export class Refused extends Error {
  override readonly name = 'Refused'

  constructor(readonly code: number) {
    super(`the broker answered ${names[code] ?? `code ${code}`}`)
  }
}

/** https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbitmq_stream/docs/PROTOCOL.adoc#response-codes */
const names: Readonly<Record<number, string>> = {
  2: 'stream does not exist',
  3: 'subscription id already exists',
  4: 'subscription id does not exist',
  6: 'stream not available',
  7: 'SASL mechanism not supported',
  8: 'authentication failure',
  9: 'SASL error',
  11: 'authentication failure: this user may connect from the broker itself only',
  12: 'virtual host access failure',
  13: 'unknown frame',
  14: 'frame too large',
  15: 'internal error',
  16: 'access refused',
  17: 'precondition failed',
  19: 'no offset',
}

const denied = new Set([7, 8, 9, 11, 12, 16])

/** What a failed connection or request means for a person. */
export function rabbitmqError(error: unknown, settings: RabbitmqSettings, partition?: number): TidemarkError {
  if (error instanceof TidemarkError) return error
  const place: ErrorPlace = { stream: settings.name, ...(partition === undefined ? {} : { partition }) }
  const where = whereOf(settings)
  const options = { cause: error, place }
  if (error instanceof Refused && error.code === 2) return notFound(settings, partition)
  if (error instanceof Refused && error.code === 12) {
    const text = `${where} has no virtual host '${settings.vhost}', or user '${settings.username}' may not use it: check 'vhost' in the config (rabbitmqctl list_vhosts)`
    return new TidemarkError('AUTH_FAILED', text, options)
  }
  if (error instanceof Refused && denied.has(error.code)) {
    const toDo = `check user name and password in the config, and the right to read stream '${settings.name}'`
    return accessDenied(`user '${settings.username}' (${error.message})`, { where, toDo, ...options })
  }
  if (error instanceof WrongPort)
    return new TidemarkError('CONFIG_INVALID', `${where} is no broker's stream port: ${error.message}`, options)
  if (isTlsRefusal(error)) return tlsRefused({ where, ...options })
  if (isUntrustedCertificate(error)) return untrustedCertificate({ where, ...options })
  const toDo =
    error instanceof Refused
      ? 'it passes by itself as a rule'
      : 'is it running with the plugin rabbitmq_stream, and is its address right?'
  return unreachable({ where, toDo, ...options })
}

export function notFound(settings: RabbitmqSettings, partition?: number): TidemarkError {
  const { name, isSuper } = settings
  const kind = isSuper ? 'super stream' : 'stream'
  const what = partition === undefined || !isSuper ? `${kind} '${name}'` : `partition ${partition} of '${name}'`
  return streamNotFound(what, {
    where: whereOf(settings),
    toDo: `create it, or correct '${isSuper ? 'superStream' : 'stream'}' in the config`,
    place: { stream: name, ...(partition === undefined ? {} : { partition }) },
  })
}

/** `RabbitMQ at broker:5552`. */
export function whereOf(settings: RabbitmqSettings): string {
  return `RabbitMQ at ${addressText(settings)}`
}
