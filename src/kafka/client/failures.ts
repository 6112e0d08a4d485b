import { type ErrorPlace, messageOf, TidemarkError } from '../../model/errors.js'
import {
  accessDenied,
  isTlsRefusal,
  isUntrustedCertificate,
  streamNotFound,
  tlsRefused,
  unreachable,
  untrustedCertificate,
} from '../../model/peer-errors.js'
import { failureType } from './driver.js'
import { codeName, readerMeaningOf } from './error-codes.js'
import type { KafkaSettings } from './options.js'
import { TokenRefused } from './token-login.js'

/** What errors tell of a cluster. Without a topic they speak of the cluster alone. */
type Where = Pick<KafkaSettings, 'brokers' | 'sasl'> & { readonly topic?: string }

/** What a failed connection or request to the cluster means for a person. */
export function kafkaError(error: unknown, settings: Where): TidemarkError {
  if (error instanceof TidemarkError) return error
  if (/SASL|AUTHENTICATION|AUTHORIZATION/i.test(failureType(error))) return refused(settings, error)
  // A broker that wants TLS or a login, or doesn't, has no other way to say so.
  const hint = /closed|disconnected before secure/i.test(messageOf(error)) ? ", and 'ssl' and 'sasl'" : ''
  const toDo = `is it running, and are 'brokers'${hint} right?`
  return unreachable({ where: whereOf(settings), toDo, cause: error, place: placeOf(settings) })
}

/**
 * The same for a connection to one broker. Where the config names it, that is an error of the cluster; else some broker of the cluster has
 * named it, perhaps by a name that means nothing here. Others may answer, so the address is what a person needs to know.
 */
export function connectionError(error: unknown, address: string, settings: Where): unknown {
  if (error instanceof TidemarkError) return error
  const one = { where: `Kafka at ${address}`, cause: error, place: placeOf(settings) }
  if (isTlsRefusal(error)) return tlsRefused(one)
  if (isUntrustedCertificate(error)) return untrustedCertificate(one)
  if (settings.brokers.includes(address) || /SASL|AUTHENTICATION|AUTHORIZATION/i.test(failureType(error))) return error
  return unreachable({
    where: `the broker at ${address}, an address that ${whereOf(settings)} has named,`,
    toDo: "is it running? Else the broker's 'advertised.listeners' must name an address that leads to it from here",
    isNamed: true,
    cause: error,
    place: placeOf(settings),
  })
}

/**
 * What a failure means where the cluster has let this client in before. A certificate that is no longer trusted is being replaced, as a
 * rule one broker after another, and that passes.
 */
export function passing(failure: TidemarkError): TidemarkError {
  const { code, message, cause, place } = failure
  if (code !== 'AUTH_FAILED' || !isUntrustedCertificate(cause)) return failure
  return new TidemarkError('UNREACHABLE', message, { cause, place })
}

/** The same for an error code that a broker gave for the topic or one of its partitions. */
export function codeError(
  code: number,
  settings: Where & { readonly topic: string },
  partition?: number,
): TidemarkError {
  const { topic } = settings
  const place = { stream: topic, ...(partition === undefined ? {} : { partition }) }
  const meaning = readerMeaningOf(code)
  if (meaning === 'gone') {
    const what = partition === undefined ? `topic '${topic}'` : `partition ${partition} of topic '${topic}'`
    const toDo = `create it (kafka-topics.sh --create --topic ${topic}), or correct 'topic' in the config`
    return streamNotFound(what, { where: whereOf(settings), toDo, place })
  }
  if (meaning === 'denied') return refused(settings)
  const text = `${whereOf(settings)} answered ${codeName(code)} for topic '${topic}': it passes by itself as a rule`
  return new TidemarkError('UNREACHABLE', text, { place })
}

function refused(settings: Where, cause?: unknown): TidemarkError {
  const { sasl, topic } = settings
  if (cause instanceof TokenRefused)
    return accessDenied(`the token of sasl.oauthBearerProvider (${cause.message})`, {
      where: whereOf(settings),
      toDo: 'check that it has not expired, and that the broker accepts its issuer, audience and scope',
      cause,
      place: placeOf(settings),
    })
  const right = topic === undefined ? '' : `, and the right to read topic '${topic}'`
  return accessDenied(sasl ? `the ${sasl.mechanism} login` : 'this client', {
    where: whereOf(settings),
    toDo: `check 'sasl' and 'ssl' in the config${right}`,
    cause,
    place: placeOf(settings),
  })
}

function placeOf({ topic }: Where): ErrorPlace {
  return topic === undefined ? {} : { stream: topic }
}

/** `Kafka at broker:9092`. */
export function whereOf({ brokers }: Where): string {
  return `Kafka at ${brokers.join(', ')}`
}
